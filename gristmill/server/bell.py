"""What a thread sleeps at: until another thread rings, something comes over one of its connections, or it is time."""

import os
import weakref
from collections.abc import Collection
from contextlib import suppress

from gristmill.server.readable import readable


class Bell:
    """One thread waits, and any may ring. What rang before the wait ends it at once."""

    def __init__(self) -> None:
        self._near, self._far = os.pipe()
        for end in (self._near, self._far):
            os.set_blocking(end, False)
            # A forked child that forgets the bell closes its copies.
            weakref.finalize(self, os.close, end).atexit = False

    def ring(self) -> None:
        """Wake the thread that waits, or will wait next."""
        # Full: it has been rung.
        with suppress(BlockingIOError):
            os.write(self._far, b"\0")

    def wait(self, seconds: float, wires: Collection[int] = ()) -> set[int]:
        """Wait for up to `seconds` seconds (infinite: for ever), and no longer once something can be read from a wire.

        Wires are descriptors. Returns those from which something can be read, be it the end.
        """
        ready = readable([self._near, *wires], seconds)
        if self._near in ready:
            os.read(self._near, 4096)
        return ready - {self._near}
