"""Values that are too large for the server: they go into files below the shared data root."""

from pathlib import Path
from secrets import token_hex

from redis.exceptions import RedisError

from gristmill.batches.chunk import Item, Work
from gristmill.batches.shared_root import SharedRoot
from gristmill.batches.value_file import VALUES, FileText, ValueFile
from gristmill.config.settings import settings, variable
from gristmill.errors import GristmillError
from gristmill.server.connection import client
from gristmill.server.scripts import Scripts
from gristmill.server.waiting import OUTCOMES, patiently

#: The longest value that the server keeps, as JSON in UTF-8, in bytes.
VALUE_BYTES = 1 << 20
#: A text of so many characters is no longer than that: no character takes more than four bytes.
SHORT = VALUE_BYTES // 4


class ResultTooLarge(ValueError):
    """Raised when a task returns more than 1 MiB of JSON; it should write a file and return the file's path."""


class ValueNotPlaced(GristmillError):
    """Raised when the server does not say where a value goes: the item runs again elsewhere."""


def size_of(text: str) -> int:
    """The size of a value, in bytes."""
    return len(text) if text.isascii() else len(text.encode())


def value_text(text: str, work: Work, item: Item) -> str:
    """The text of the outcome of an item whose value is `text`, as JSON: the value, or a reference to its file.

    Raises:
        ResultTooLarge: the value is over 1 MiB, and the data root is not shared by all hosts; or over the limit.
        OSError: the file cannot be written.
        ValueNotPlaced: the server does not answer.
    """
    size = size_of(text)
    return text if size <= VALUE_BYTES else _in_file(text, size, work, item)


def _in_file(text: str, size: int, work: Work, item: Item) -> FileText:
    own = settings()
    if not own.shared_data_root:
        raise ResultTooLarge(
            f"the value is {size:,} bytes of JSON, over 1 MiB: write a file and return its path, or, if all hosts see "
            f"one data root, set {variable('shared_data_root')}=true"
        )
    if size > own.value_bytes:
        most = f"{own.value_bytes:,} bytes ({variable('value_bytes')})"
        raise ResultTooLarge(f"the value is {size:,} bytes of JSON, over {most}: write a file and return its path")
    root = SharedRoot(client(), own)
    try:
        mark = patiently(root.establish, OUTCOMES)
        if not root.is_seen(mark):
            raise ResultTooLarge(
                f"the value is {size:,} bytes of JSON, over 1 MiB, and the data root of this host "
                f"({variable('data_root')}) is not the one that others share: it has no {mark}"
            )
        scripts, token = Scripts(root.client, own.prefix, "batches"), token_hex(16)
        folder = patiently(lambda: scripts.call("value_folder", batch=work.chunk.batch, token=token), OUTCOMES)
    except RedisError as error:
        raise ValueNotPlaced(f"item {item.index} of batch {work.chunk.batch!r}: {error}") from error
    if not folder:
        raise ResultTooLarge(f"batch {work.chunk.batch!r} was deleted while the item ran")
    try:
        return ValueFile.write(root.path, folder, item.index, item.attempt, text)
    except OSError as error:
        where = str(Path(root.path, *VALUES, folder))
        raise OSError(error.errno, f"cannot write the value into a file: {error.strerror}", where) from None
