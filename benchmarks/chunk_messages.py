"""The chunks in the messages on a server."""

import json

from gristmill.batches.chunk import Chunk


def chunk_of(message: str | bytes) -> Chunk:
    """The chunk that the text of a kombu message carries."""
    return Chunk(*json.loads(json.loads(message)["body"])[0][1:5])
