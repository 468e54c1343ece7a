"""The capture of this process: tells apart by item what items write, and keeps the end of it for the item's outcome."""

import ctypes
import os
import sys
from contextlib import suppress

from gristmill.config.settings import settings
from gristmill.worker.output.output_file import new_file
from gristmill.worker.output.process_capture import ProcessCapture, lead
from gristmill.worker.output.thread_capture import ItemStream, ThreadCapture
from gristmill.worker.output.whole_output import WholeOutput

_libc = ctypes.PyDLL(None)
#: The mode `_IONBF` of C's `setvbuf`, in glibc, musl and macOS alike.
_UNBUFFERED = 2


class NoCapture:
    """Leaves streams as they are; its docstrings say what every capture does at each call."""

    #: Whether what is written here and now is an item's.
    running = False

    def rest(self) -> None:
        """A chunk starts: what was written since the last one is no item's."""

    def begin(self, batch: str, index: int, captures: bool) -> None:
        """An item starts; unless its output is captured (`captures`), that goes to the worker's own streams."""

    def keep_whole(self, output: WholeOutput) -> None:
        """All that the running item writes goes to `output` too, which is published at its end: here, nothing."""
        output.publish()

    def send(self) -> None:
        """Send what items wrote to those who listen, before the items' outcomes are recorded."""

    def end(self, keep: bool) -> str | None:  # noqa: ARG002
        """The item has ended; with `keep`, return the end of what it wrote, None if that is nothing."""
        return None


#: Takes what the item that runs here writes.
Capture = NoCapture | ProcessCapture | ThreadCapture
capture: Capture = NoCapture()


def current() -> Capture:
    """The capture of this process."""
    return capture


def capture_process(file: int | None = None) -> int:
    """Lead this process's descriptors 1 and 2 to `file` (default: a new one); return its own descriptor of stderr."""
    global capture  # noqa: PLW0603
    if not settings().log_bytes:
        return 2
    own = os.dup(2)
    capture = lead(new_file() if file is None else file, own)
    _unbuffer_c()
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
