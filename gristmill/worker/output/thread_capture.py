"""What items write that run in threads or coroutines: `sys.stdout` and `sys.stderr` ask which item runs there."""

import io
import threading
from contextvars import ContextVar
from time import sleep
from typing import Any, TextIO

from gristmill.config.settings import settings
from gristmill.worker.output.live_lines import LiveLines
from gristmill.worker.output.log_text import MARGIN_BYTES, log_text
from gristmill.worker.output.whole_output import WholeOutput

#: Bytes that the text of an item may have before its beginning is dropped.
MOST_BYTES = 1 << 20
#: The longest line that those who listen are sent, in bytes; seconds for which lines are collected.
LIVE_BYTES, LOOK_SECONDS = 16 << 10, 0.1


class _Written:
    """What one item wrote: its end, in memory."""

    __slots__ = ("batch", "dropped", "index", "line", "live", "text", "whole")

    def __init__(self, live: LiveLines, batch: str, index: int) -> None:
        self.live, self.batch, self.index = live, batch, index
        self.text, self.dropped = bytearray(), 0
        #: The line that has no end yet.
        self.line = b""
        self.whole: WholeOutput | None = None

    def add(self, data: bytes) -> None:
        lines, end, self.line = (self.line + data)[-LIVE_BYTES:].rpartition(b"\n")
        if end:
            self.live.add(self.batch, self.index, lines + end)
        if self.whole:
            self.whole.add(data)
        self.text += data
        if len(self.text) > MOST_BYTES:
            excess = len(self.text) - settings().log_bytes - MARGIN_BYTES
            del self.text[:excess]
            self.dropped += excess


_written: ContextVar[_Written | None] = ContextVar("gristmill_written", default=None)


class ItemStream(io.TextIOBase):
    """A stream that gives an item's text to the item, and any other to the worker's own stream."""

    encoding = "utf-8"

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

    def __init__(self, live: LiveLines | None = None) -> None:
        self._live = live or LiveLines()
        self._sender = threading.Thread(target=self._send_all, name="live lines", daemon=True)
        self._lock, self._has_begun = threading.Lock(), False

    @property
    def running(self) -> bool:
        """Whether an item runs in this context."""
        return _written.get() is not None

    def rest(self) -> None:
        """Nothing: what no item writes goes to the worker's own streams."""

    def begin(self, batch: str, index: int, captures: bool) -> None:
        """An item starts in this context."""
        if not self._has_begun:
            self._begin_sending()
        _written.set(_Written(self._live, batch, index) if captures else None)

    def keep_whole(self, output: WholeOutput) -> None:
        """All that the item of this context writes goes to `output` too."""
        if written := _written.get():
            written.whole = output
        else:
            output.publish()

    def _begin_sending(self) -> None:
        with self._lock:
            if not self._has_begun:
                self._has_begun = True
                self._sender.start()

    def send(self) -> None:
        """Send what items wrote to those who listen."""
        self._live.send()

    def _send_all(self) -> None:
        while True:
            self._live.wait()
            sleep(LOOK_SECONDS)
            self._live.send()

    def end(self, keep: bool) -> str | None:
        """The end of what the item wrote in this context."""
        written = _written.get()
        _written.set(None)
        if written is not None and written.whole:
            written.whole.publish()
        if written is not None and written.line:
            self._live.add(written.batch, written.index, written.line)
        if not keep or written is None or not written.text:
            return None
        return log_text(bytes(written.text), written.dropped)
