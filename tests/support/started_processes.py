"""What the processes do that `test_process_start.py` starts."""

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def tell(writer):
    """Send what this process is: its id and parent, its descriptors, the signals that it blocks, its end at TERM."""
    names = []
    for path in [*Path("/proc/self/fd").iterdir()]:
        with suppress(OSError):
            names.append(str(path.readlink()))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    ends_at_term = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    writer.send([os.getpid(), os.getppid(), names, sorted(blocked), ends_at_term])


def tell_of_slot(slot, writer):
    """Send what the process of a slot has of its worker."""
    equipment = slot.equipment
    writer.send([slot.inqW_fd, equipment.worker, equipment.memory, os.fstat(equipment.file).st_ino])


class Leaver:
    """What a process of a pool runs, as the pool sees it."""

    def __init__(self, code):
        self.code, self.on_ready_counter, self._shutdown = code, object(), object()

    def __call__(self):
        leave(self.code)


def leave(code):
    """End with an exit code."""
    sys.exit(code)


def wait_for(count, value):
    """End with the count once that is `value`."""
    deadline = time.monotonic() + 30
    while count.value != value and time.monotonic() < deadline:
        time.sleep(0.01)
    sys.exit(count.value)


def die(_):
    """End by a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


def ask_to_be_traced():
    """Stop, until a tracer lets this process go on: its parent, which it has not asked."""
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGCHLD)
    sys.exit(0)
