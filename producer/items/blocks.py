"""The bytes of a file or of standard input, block by block, as they arrive."""

import errno
import io
import os
import select
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gristmill.errors import InputError

#: bytes asked for in one read: what a Linux pipe holds
BLOCK_BYTES = 64 * 1024


class Blocks:
    """Reads one input from its beginning, once per call of `read`, and never ahead of its writer.

    `name` is what messages call it; `regular` says whether it can be read more than once.
    Raises InputError when the path is missing, a directory or not readable, or when standard input is closed.
    """

    def __init__(self, path: str) -> None:
        self.stdin = path == "-"
        self.name = "standard input" if self.stdin else os.fsencode(path).decode("utf-8", "backslashreplace")
        self._path = path
        self._checked: tuple[int, ...] | None = None
        with self._named():
            self._fd = _stdin() if self.stdin else None
            status = self._status()
            self.regular = status is not None and stat.S_ISREG(status.st_mode)
            if self.regular and not self.stdin:
                open(path, "rb").close()  # noqa: PTH123 (says now what would fail later)
            elif status is not None and stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            # A shell may have read the first lines of a redirected file: ours begin where it stopped.
            self._start = os.lseek(self._fd, 0, os.SEEK_CUR) if self.regular and self._fd is not None else 0

    def read(self) -> Iterator[bytes]:
        """Yields every block as soon as it is there. Raises InputError when reading fails.

        Also when a regular file is no longer what it was at the first read: what has been checked
        must be what is sent.
        """
        with self._named():
            if self.stdin:
                yield from self._pump(self._fd)
            else:
                with open(self._path, "rb", buffering=0) as file:  # noqa: PTH123 (keeps the path's bytes)
                    yield from self._pump(file.fileno())

    def _pump(self, fd: int | None) -> Iterator[bytes]:
        if fd is None:
            return iter(lambda: sys.stdin.buffer.read(BLOCK_BYTES), b"")
        if not self.regular:
            return iter(lambda: _arrived(fd), b"")
        self._refuse_change(os.fstat(fd))
        return iter(_from(fd, self._start), b"")

    def _status(self) -> os.stat_result | None:
        if not self.stdin:
            return os.stat(self._path)  # noqa: PTH116
        return None if self._fd is None else os.fstat(self._fd)

    def _refuse_change(self, status: os.stat_result) -> None:
        now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._checked not in (None, now):
            raise InputError(f"{self.name}: changed while it was being read; run the command again")
        self._checked = now

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{self.name}: {reason[:1].lower()}{reason[1:]}") from error


def _stdin() -> int | None:
    """The descriptor of standard input, None if it has none (in tests). Raises InputError if it is closed."""
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input: is closed")
    try:
        return sys.stdin.fileno()
    except io.UnsupportedOperation:
        return None


def _from(fd: int, start: int) -> Callable[[], bytes]:
    """A function that returns the next block of a regular file, whoever else moves its offset."""
    place = start

    def following() -> bytes:
        nonlocal place
        block = os.pread(fd, BLOCK_BYTES, place)
        place += len(block)
        return block

    return following


def _arrived(fd: int) -> bytes:
    """What a stream holds now, waiting for the first byte; empty at its end."""
    while True:
        try:
            return os.read(fd, BLOCK_BYTES)
        except BlockingIOError:  # another program made the terminal or pipe we share non-blocking
            select.select([fd], [], [])
