"""What items write: told apart by item, and the end of it kept for the item's outcome.

In a process that runs one item at a time, descriptors 1 and 2 lead to one file: C code and child programs are in it
too. In threads and coroutines, `sys.stdout` and `sys.stderr` ask which item runs there.
"""

import ctypes
import io
import os
import re
import sys
import tempfile
import threading
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from time import sleep
from typing import Any, Protocol, TextIO

from gristmill.config.settings import settings

#: Bytes that the file of a process, or the memory of a thread, may have before its beginning is dropped.
MOST_BYTES = 1 << 20
#: Seconds between two looks at the size of a file that a running item may be filling.
LOOK_SECONDS = 0.1
#: What is read of a file beyond the bytes to keep: patterns see whole lines of it.
MARGIN_BYTES = 16 << 10

_libc = ctypes.PyDLL(None)
#: The mode `_IONBF` of C's `setvbuf`, in glibc, musl and macOS alike.
_UNBUFFERED = 2


class Capture(Protocol):
    """Takes what the item that runs here writes."""

    @property
    def running(self) -> bool:
        """Whether what is written here and now is an item's."""

    def begin(self, captures: bool) -> None:
        """An item starts; unless its output is captured (`captures`), that goes to the worker's own streams."""

    def end(self, keep: bool) -> str | None:
        """The item has ended; with `keep`, return the end of what it wrote, None if that is nothing."""


class NoCapture:
    """Leaves streams as they are."""

    running = False

    def begin(self, captures: bool) -> None:
        """Nothing."""

    def end(self, keep: bool) -> str | None:  # noqa: ARG002
        """Nothing."""
        return None


class ProcessCapture:
    """Descriptors 1 and 2 of this process lead to `file`, which is open for appending.

    What no item wrote goes on to the descriptor `own`, soon after it was written.
    """

    def __init__(self, file: int, own: int) -> None:
        self._file, self._own = file, own
        self.running = False
        self._dropped = 0
        self._tail = b""
        self._lock = threading.Lock()
        self._streams = (sys.stdout, sys.stderr)
        threading.Thread(target=self._bound, name="output bound", daemon=True).start()

    def begin(self, captures: bool) -> None:
        """An item starts with an empty file."""
        if os.lseek(self._file, 0, os.SEEK_END):
            with self._lock:
                self._pass_on()
        self.running = captures

    def _pass_on(self) -> None:
        while text := os.pread(self._file, MOST_BYTES, 0):
            os.ftruncate(self._file, 0)
            with suppress(OSError):
                os.write(self._own, text)

    def end(self, keep: bool) -> str | None:
        """The end of what was written since the last item; a look takes about a microsecond when that is nothing."""
        for stream in self._streams:
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        if os.lseek(self._file, 0, os.SEEK_END) == 0 and not self._tail:
            self.running = False
            return None
        with self._lock:
            if not self.running:
                self._pass_on()
                return None
            self.running = False
            self._empty()
            tail, dropped = self._tail, self._dropped
            self._tail, self._dropped = b"", 0
        return log_text(tail, dropped) if keep else None

    def _empty(self) -> None:
        """Move the end of the file to memory, and truncate the file."""
        size = os.lseek(self._file, 0, os.SEEK_END)
        limit = settings().log_bytes + MARGIN_BYTES
        before = len(self._tail) + size
        self._tail = (self._tail + os.pread(self._file, limit, max(0, size - limit)))[-limit:]
        self._dropped += before - len(self._tail)
        os.ftruncate(self._file, 0)

    def _bound(self) -> None:
        """Truncate the file while an item runs that writes too much."""
        while True:
            sleep(LOOK_SECONDS)
            size = os.fstat(self._file).st_size
            if size > MOST_BYTES or (size and not self.running):
                with self._lock:
                    if self.running:
                        self._empty()
                    else:
                        self._pass_on()


class _Written:
    """What one item wrote: its end, in memory."""

    __slots__ = ("dropped", "text")

    def __init__(self) -> None:
        self.text, self.dropped = bytearray(), 0

    def add(self, data: bytes) -> None:
        self.text += data
        if len(self.text) > MOST_BYTES:
            excess = len(self.text) - settings().log_bytes - MARGIN_BYTES
            del self.text[:excess]
            self.dropped += excess


_written: ContextVar[_Written | None] = ContextVar("gristmill_written", default=None)


class ItemStream(io.TextIOBase):
    """A stream that gives an item's text to the item, and any other to the worker's own stream."""

    def __init__(self, own: TextIO) -> None:
        self._own = own

    def write(self, text: str) -> int:
        """Write text; returns its length."""
        written = _written.get()
        if written is None:
            return self._own.write(text)
        written.add(text.encode(errors="backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Flush the worker's own stream."""
        self._own.flush()

    def fileno(self) -> int:
        """The descriptor of the worker's own stream."""
        return self._own.fileno()

    def writable(self) -> bool:
        """Always."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8."""
        return "utf-8"

    @property
    def buffer(self) -> Any:
        """Takes bytes."""
        return _Bytes(self)


class _Bytes:
    """The binary side of an ItemStream."""

    def __init__(self, stream: ItemStream) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        self._stream.write(bytes(data).decode(errors="backslashreplace"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()


class ThreadCapture:
    """Items run in threads or coroutines; each has the context in which it began."""

    @property
    def running(self) -> bool:
        """Whether an item runs in this context."""
        return _written.get() is not None

    def begin(self, captures: bool) -> None:
        """An item starts in this context."""
        _written.set(_Written() if captures else None)

    def end(self, keep: bool) -> str | None:
        """The end of what the item wrote in this context."""
        written = _written.get()
        _written.set(None)
        if not keep or written is None or not written.text:
            return None
        return log_text(bytes(written.text), written.dropped)


capture: Capture = NoCapture()


def current() -> Capture:
    """The capture of this process."""
    return capture


def new_file() -> int:
    """A file without a name, for appending; its descriptor."""
    file, path = tempfile.mkstemp(prefix="gristmill-output-")
    os.close(file)
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    finally:
        Path(path).unlink()


def last_words(file: int) -> str | None:
    """The end of what a process that has died wrote into its file, which is then empty."""
    size = os.fstat(file).st_size
    limit = settings().log_bytes + MARGIN_BYTES
    tail = os.pread(file, limit, max(0, size - limit))
    os.ftruncate(file, 0)
    return log_text(tail, max(0, size - limit)) if tail else None


def capture_process(file: int | None = None, own: int = 2) -> int:
    """Lead this process's descriptors 1 and 2 to `file` (default: a new one); return its own descriptor of stderr."""
    global capture  # noqa: PLW0603
    if not settings().log_bytes:
        return own
    own = os.dup(own)
    file = new_file() if file is None else file
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    _unbuffer_c()
    os.dup2(file, 1)
    os.dup2(file, 2)
    capture = ProcessCapture(file, own)
    return own


def _unbuffer_c() -> None:
    """Have C code write at once: to flush its buffer after each item would take longer than all else here."""
    for name in ("stdout", "__stdoutp"):
        with suppress(ValueError):
            _libc.setvbuf(ctypes.c_void_p.in_dll(_libc, name), None, _UNBUFFERED, 0)


def capture_threads() -> None:
    """Have this process's streams ask which item writes."""
    global capture  # noqa: PLW0603
    if settings().log_bytes:
        sys.stdout, sys.stderr = ItemStream(sys.stdout), ItemStream(sys.stderr)
        capture = ThreadCapture()


@cache
def _pattern() -> re.Pattern[str] | None:
    return re.compile(settings().redact) if settings().redact else None


def log_text(tail: bytes, dropped: int) -> str:
    """What is kept of an item's output: its last `log_bytes` bytes, without what a setting redacts."""
    if dropped:
        # The first line lacks its beginning: a pattern might miss a part of what it would find.
        tail = tail.partition(b"\n")[2] or tail
    text = tail.decode(errors="backslashreplace")
    if pattern := _pattern():
        text = "\n".join(pattern.sub("***", line) for line in text.split("\n"))
    data, limit = text.encode(), settings().log_bytes
    lost = dropped + max(0, len(data) - limit)
    end = data[-limit:].decode(errors="ignore")
    return f"[about {lost:,} bytes before this are lost]\n{end}" if lost else end
