"""A message's tag, `level/id/queue`: by it a consumer names a message that it holds. queue.lua builds the same text."""


def tag_of(level: str, identity: str, queue: str) -> str:
    """The tag of the message `identity` on the stream of a queue's priority level."""
    return f"{level}/{identity}/{queue}"


def queue_of(tag: str) -> str:
    """The name of the queue of a tagged message."""
    return tag.split("/", 2)[2]


def on_stream(tag: str) -> bool:
    """Whether a delivery tag belongs to a message on a stream; kombu's own tags belong to messages off lists."""
    return "/" in tag
