"""The watch over an event loop: names the code at which the loop stands still, for all its items wait there."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Sized
from pathlib import Path
from types import FrameType

from gristmill.tasks.fingerprint import is_users_own
from gristmill.worker.rare_log import RareLog

#: Seconds without a turn after which a loop stands still, and seconds between two looks.
STILL_SECONDS, LOOK_SECONDS = 1.0, 0.25

log = logging.getLogger(__name__)
#: An item that blocks is not alone, as a rule: one line an hour for each place.
rare_log = RareLog(log)


class LoopWatch:
    """Looks at one event loop, from a thread of its own, while there are `runs` on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, thread: threading.Thread, runs: Sized) -> None:
        self._loop, self._thread, self._runs = loop, thread, runs
        self._has_begun = threading.Event()
        threading.Thread(target=self._watch, name="loop watch", daemon=True).start()

    def wake(self) -> None:
        """Another run has begun."""
        self._has_begun.set()

    def _watch(self) -> None:
        while self._has_begun.wait():
            self._has_begun.clear()
            while self._runs:
                self._look()
                time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        turned = threading.Event()
        asked_at = time.monotonic()
        self._loop.call_soon_threadsafe(turned.set)
        if turned.wait(STILL_SECONDS):
            return
        frame = sys._current_frames().get(self._thread.ident or 0)
        place = place_of(frame) if frame else "a place that cannot be seen"
        is_logged = rare_log.warning(
            place,
            "the event loop has stood still for %g s, and no other item goes on: %s. Await something that does not "
            "block, or call asyncio.to_thread",
            STILL_SECONDS,
            place,
        )
        turned.wait()
        if is_logged:
            log.warning("the event loop goes on after %.1f s", time.monotonic() - asked_at)


def place_of(frame: FrameType) -> str:
    """Where a thread is: the innermost frame of the user's own code, and the innermost frame of all."""
    frames = traceback.extract_stack(frame)
    innermost = frames[-1]
    own = next((one for one in reversed(frames) if is_users_own(Path(one.filename))), innermost)
    return _text(own) if own is innermost else f"{_text(own)}, which is in {_text(innermost)}"


def _text(frame: traceback.FrameSummary) -> str:
    return f"{frame.name}() at {frame.filename}:{frame.lineno}"
