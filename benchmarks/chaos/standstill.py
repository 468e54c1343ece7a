"""Makes a worker's main process stand still when a signal asks for that, for STALL_SECONDS of its environment."""

import ctypes
import os
import signal
import time
from types import FrameType

#: The environment variable that says for how many seconds.
STALL_SECONDS = "BENCH_STALL_SECONDS"
#: The event loop stands still; or all threads do, because C code holds the GIL.
BLOCK, SEIZE = signal.SIGRTMIN + 1, signal.SIGRTMIN + 2


def obey() -> None:
    """Stand still on BLOCK and on SEIZE from now on. Python runs handlers on the main thread, the event loop's."""
    signal.signal(BLOCK, _block)
    signal.signal(SEIZE, _seize)


def _seconds() -> float:
    return float(os.environ[STALL_SECONDS])


def _block(_number: int, _frame: FrameType | None) -> None:
    time.sleep(_seconds())


def _seize(_number: int, _frame: FrameType | None) -> None:
    # A PyDLL keeps the GIL during the call.
    ctypes.PyDLL(None).poll(None, 0, int(_seconds() * 1000))
