"""How a worker starts the processes of its pool: the methods, and which queues have which."""

from collections.abc import Iterable

from gristmill.config.names import checked_queue
from gristmill.errors import InputError

#: In the words of Python's `multiprocessing`.
FORK, FORK_SERVER, SPAWN = METHODS = ("fork", "forkserver", "spawn")
EXPECTATION = "`fork`, `forkserver` or `spawn`, for one queue `QUEUE=spawn`, several with commas between them"


def parse(text: str) -> dict[str, str]:
    """The methods in a text such as `fork,gpu=spawn`, by queue; that of all other queues has the name "".

    Raises:
        ValueError: the text is not valid, or has two methods for one queue.
    """
    methods: dict[str, str] = {}
    for part in text.split(","):
        queue, _, method = part.rpartition("=")
        queue, method = queue.strip(), method.strip()
        if method not in METHODS or queue in methods or ("=" in part and not _is_queue(queue)):
            raise ValueError(f"no start method: {part!r}")
        methods[queue] = method
    return methods


def checked(text: str) -> str:
    """The text, if it is valid; else raises ValueError."""
    parse(text)
    return text


def methods_of(text: str, queues: Iterable[str]) -> set[str]:
    """The methods that a text has for a worker of `queues`: one, unless the queues have different ones."""
    methods = parse(text)
    return {methods.get(queue) or methods.get("", FORK) for queue in queues} or {methods.get("", FORK)}


def _is_queue(name: str) -> bool:
    try:
        return bool(checked_queue(name))
    except InputError:
        return False
