"""The file that descriptors 1 and 2 of a process lead to: it takes little room, however much items write."""

import ctypes
import os
import tempfile
from pathlib import Path

from gristmill.config.settings import settings
from gristmill.worker.output.log_text import MARGIN_BYTES, log_text

#: Bytes that a file may take on the disk before its beginning is dropped.
MOST_BYTES = 1 << 20
#: Holes are made of whole blocks, of a size that the blocks of each usual file system divide.
_BLOCK_BYTES = 64 << 10
#: Linux's FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE.
_PUNCH_HOLE = 1 | 2

_libc = ctypes.CDLL(None, use_errno=True)


def new_file() -> int:
    """A file without a name, for appending; its descriptor."""
    file, path = tempfile.mkstemp(prefix="gristmill-output-")
    os.close(file)
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    finally:
        Path(path).unlink()


class OutputFile:
    """A file of which only the end counts; `descriptor` is open for reading and appending."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        #: The bytes at its beginning that are a hole, and those that are in it no more.
        self._hole = self.dropped = 0

    @property
    def size(self) -> int:
        """Its bytes, those in the hole included; takes a quarter of a microsecond, and `fstat` four times that."""
        return os.lseek(self.descriptor, 0, os.SEEK_END)

    def bound(self) -> None:
        """Drop its beginning, if it takes more than MOST_BYTES; what others write meanwhile is in it."""
        size = self.size
        if size - self._hole > MOST_BYTES:
            self.drop(size - self._last_part)

    def drop(self, end: int) -> None:
        """Drop what is before `end`, in whole blocks."""
        end = end // _BLOCK_BYTES * _BLOCK_BYTES
        if end <= self._hole:
            return
        if _punch(self.descriptor, end):
            self._hole = end
            return
        size = self.size
        # A system, or a file system, without holes: what is written between these calls is lost.
        tail = os.pread(self.descriptor, self._last_part, size - self._last_part)
        os.ftruncate(self.descriptor, 0)
        os.write(self.descriptor, tail)
        self.dropped += size - len(tail)

    def read(self, at: int, count: int) -> bytes:
        """Some of its bytes."""
        return os.pread(self.descriptor, count, at)

    def take(self) -> tuple[bytes, int]:
        """Empty it; return its end, and the number of bytes before that."""
        size = self.size
        tail = os.pread(self.descriptor, self._last_part, max(0, size - self._last_part))
        os.ftruncate(self.descriptor, 0)
        dropped = self.dropped + size - len(tail)
        self._hole = self.dropped = 0
        return tail, dropped

    def pass_on(self, other: int) -> None:
        """Move all its bytes to another descriptor."""
        at = self._hole
        while text := os.pread(self.descriptor, MOST_BYTES, at):
            at += len(text)
            os.write(other, text)
        os.ftruncate(self.descriptor, 0)
        self._hole = self.dropped = 0

    def last_words(self) -> str | None:
        """Empty it; return what is kept of an item's output, None if that is nothing."""
        tail, dropped = self.take()
        return log_text(tail, dropped) if tail else None

    @property
    def _last_part(self) -> int:
        return settings().log_bytes + MARGIN_BYTES


def _punch(descriptor: int, end: int) -> bool:
    """Have the file take no room before `end`; whether that is possible here."""
    fallocate = getattr(_libc, "fallocate", None)
    if fallocate is None:
        return False
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return bool(fallocate(descriptor, _PUNCH_HOLE, 0, end) == 0)
