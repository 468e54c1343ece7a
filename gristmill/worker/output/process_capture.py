"""What items write in a process that runs one at a time, its C code and its child programs too."""

import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from os import SEEK_END, lseek
from time import sleep
from typing import Any, TextIO

from gristmill.worker.output.live_lines import LiveLines
from gristmill.worker.output.log_text import log_text
from gristmill.worker.output.output_file import MOST_BYTES, OutputFile
from gristmill.worker.output.whole_output import WholeOutput

#: Seconds between two looks at the size of a file: one that a running item may be filling, and one of an idle process.
LOOK_SECONDS, IDLE_SECONDS = 0.1, 10.0
#: Bytes of an item's output that are sent at a time to those who listen: the end of what is new.
LIVE_BYTES = 16 << 10


class ProcessCapture:
    """Descriptors 1 and 2 of this process lead to `file`, and `stdout` and `stderr` are streams that write there.

    What no item wrote goes on to the descriptor `own`, soon after it was written.
    """

    def __init__(self, file: OutputFile, own: int) -> None:
        self._file, self._own = file, own
        self._descriptor = file.descriptor
        self.running = False
        self._batch, self._index = "", 0
        #: How much of the item's output those who listen have been sent.
        self._send_from = 0
        #: Where all of the item's output goes, if it is wanted, and how much of it is there.
        self._whole: WholeOutput | None = None
        self._saved = 0
        self._live = LiveLines()
        #: Set when there may be something to look at soon.
        self._lock, self._awake = threading.Lock(), threading.Event()
        self._buffers = self._stdout, self._stderr = self._buffer(1), self._buffer(2)
        self.stdout, self.stderr = map(_stream, self._buffers)
        threading.Thread(target=self._look, name="output bound", daemon=True).start()
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def _buffer(self, descriptor: int) -> "_Buffer":
        raw: Any = _Pieces(descriptor, self._bound)
        buffer = _Buffer(raw)
        buffer.awake = self._awake
        return buffer

    def _leave_to_parent(self) -> None:
        """In a child of the process, nobody looks, and the event's lock may be held by somebody who is not there."""
        for buffer in self._buffers:
            buffer.awake = threading.Event()

    def rest(self) -> None:
        """No item has run for a while: pass on what was written meanwhile."""
        self._awake.set()
        if self._file.size:
            with self._lock:
                self._pass_on()

    def begin(self, batch: str, index: int, captures: bool) -> None:
        """An item starts. The file is empty: it is looked at once an item, at its end."""
        self._batch, self._index, self.running = batch, index, captures
        if captures and not self._awake.is_set():
            self._awake.set()

    def keep_whole(self, output: WholeOutput) -> None:
        """All that the item writes goes to `output` too."""
        with self._lock:
            self._whole, self._saved = output, 0

    def _save(self) -> None:
        """Copy what is new, before its beginning is dropped."""
        if self._whole:
            while data := self._file.read(self._saved - self._file.dropped, MOST_BYTES):
                self._whole.add(data)
                self._saved += len(data)

    def _publish(self) -> None:
        with self._lock:
            if self._whole:
                self._save()
                self._whole.publish()
                self._whole = None

    def send(self) -> None:
        """Send what items wrote to those who listen."""
        self._live.send()

    def end(self, keep: bool) -> str | None:
        """The end of what the item wrote. When it wrote nothing, this takes the time of one cheap system call."""
        if self._stdout.may_hold or self._stderr.may_hold:
            self._flush()
        if self._whole:
            self._publish()
        if not lseek(self._descriptor, 0, SEEK_END):
            self.running = False
            return None
        with self._lock:
            if not self.running:
                self._pass_on()
                return None
            self.running = False
            self._say(whole=False)
            self._send_from = 0
            tail, dropped = self._file.take()
        return log_text(tail, dropped) if keep else None

    def _flush(self) -> None:
        for buffer in self._buffers:
            buffer.may_hold = False
            with suppress(OSError, ValueError):
                buffer.flush()

    def _bound(self) -> None:
        """Drop the beginning of too long an output, unless another thread is at it."""
        if self._lock.acquire(blocking=False):
            try:
                self._save()
                self._file.bound()
            finally:
                self._lock.release()

    def _say(self, *, whole: bool) -> None:
        """Have what the item has written since the last time sent: `whole` lines, or all of it."""
        size = self._file.size
        text = self._file.read(max(self._send_from, size - LIVE_BYTES), LIVE_BYTES)
        if whole:
            text = text[: text.rfind(b"\n") + 1]
        if text:
            self._live.add(self._batch, self._index, text)
            self._send_from = max(self._send_from, size - LIVE_BYTES) + len(text)

    def _pass_on(self) -> None:
        with suppress(OSError):
            self._file.pass_on(self._own)

    def _look(self) -> None:
        """Have what an item writes sent, and bound the file, while the item runs; pass on what no item wrote."""
        looked_at = self._batch, self._index
        while True:
            if self._awake.wait(IDLE_SECONDS):
                sleep(LOOK_SECONDS)
            before, looked_at = looked_at, (self._batch, self._index)
            if self.running or looked_at != before:
                self._awake.set()
            else:
                self._awake.clear()
            if self._file.size:
                with self._lock:
                    if self.running:
                        self._say(whole=True)
                        self._save()
                        self._file.bound()
                    else:
                        self._pass_on()
            self._live.send()


class _Buffer(io.BufferedWriter):
    """Knows whether it may hold something that is not in the file yet: to flush it each time would take longer."""

    may_hold = False
    awake: threading.Event

    def write(self, data: Any, /) -> int:
        """Write the data; return its length in bytes."""
        try:
            return super().write(data)
        finally:
            self.may_hold = True
            if not self.awake.is_set():
                self.awake.set()


class _Pieces(io.FileIO):
    """Descriptor 1 or 2. It writes a long text in pieces, so that one write cannot fill the disk."""

    def __init__(self, descriptor: int, bound: Callable[[], None]) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._bound = bound

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Write the data; return its length in bytes."""
        if len(data) <= MOST_BYTES:
            return super().write(data)
        at = 0
        while at < len(data):
            at += super().write(data[at : at + MOST_BYTES])
            self._bound()
        return at


def _stream(buffer: _Buffer) -> TextIO:
    return io.TextIOWrapper(buffer, "utf-8", "backslashreplace", line_buffering=True, write_through=True)


def lead(file: int, own: int) -> ProcessCapture:
    """Lead descriptors 1 and 2 of this process, and its streams, to `file`; `own` takes what no item writes."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(file, 1)
    os.dup2(file, 2)
    capture = ProcessCapture(OutputFile(file), own)
    for names, stream in ((("stdout", "__stdout__"), capture.stdout), (("stderr", "__stderr__"), capture.stderr)):
        vars(sys).update(dict.fromkeys(names, stream))
    return capture
