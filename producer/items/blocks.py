"""The bytes of a file or of standard input, block by block, as they arrive."""

import errno
import io
import os
import select
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gristmill.errors import InputError

#: bytes asked for in one read: what a Linux pipe holds
BLOCK_BYTES = 64 * 1024


class Blocks:
    """Reads one input from its beginning at each call of `read`, and never waits for more than its writer has written.

    `name` is the input's name in messages; `regular` says whether it can be read more than once.

    Raises:
        InputError: the path is missing, a directory or not readable, or standard input is closed.
    """

    def __init__(self, path: str) -> None:
        self.stdin = path == "-"
        self.name = "standard input" if self.stdin else os.fsencode(path).decode("utf-8", "backslashreplace")
        self._path = path
        self._checked: tuple[int, ...] | None = None
        with self._naming_errors():
            self._fd = _stdin() if self.stdin else None
            status = self._status()
            self.regular = status is not None and stat.S_ISREG(status.st_mode)
            if self.regular and not self.stdin:
                open(path, "rb").close()  # noqa: PTH123 (fails now, not later)
            elif status is not None and stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            # A shell may have read the first lines of a redirected file: start where it stopped.
            self._start = os.lseek(self._fd, 0, os.SEEK_CUR) if self.regular and self._fd is not None else 0

    def read(self) -> Iterator[bytes]:
        """Yield every block as soon as it is there.

        Raises:
            InputError: reading failed, or a regular file has changed since the first read: the items that are sent
                must be those that were checked.
        """
        with self._naming_errors():
            if self.stdin:
                yield from self._pump(self._fd)
            else:
                with open(self._path, "rb", buffering=0) as file:  # noqa: PTH123 (keeps the path's bytes)
                    yield from self._pump(file.fileno())

    def _pump(self, fd: int | None) -> Iterator[bytes]:
        if fd is None:
            yield from iter(lambda: sys.stdin.buffer.read(BLOCK_BYTES), b"")
        elif not self.regular:
            yield from iter(lambda: _arrived(fd), b"")
        else:
            self._refuse_change(os.fstat(fd))
            # Another process may move the offset of the descriptor.
            place = self._start
            while block := os.pread(fd, BLOCK_BYTES, place):
                yield block
                place += len(block)

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
    def _naming_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(f"{self.name}: {reason[:1].lower()}{reason[1:]}") from error


def _stdin() -> int | None:
    """The descriptor of standard input; None if it has none, as in tests.

    Raises:
        InputError: standard input is closed.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input: is closed")
    try:
        return sys.stdin.fileno()
    except io.UnsupportedOperation:
        return None


def _arrived(fd: int) -> bytes:
    """The bytes that a stream has now, after a wait for the first one; empty at its end."""
    while True:
        try:
            return os.read(fd, BLOCK_BYTES)
        except BlockingIOError:  # another program made the terminal or pipe we share non-blocking
            select.select([fd], [], [])
