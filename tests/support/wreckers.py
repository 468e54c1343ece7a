"""Calls for test_quarantine that do to their process what a bad item may do."""

import ctypes
import errno
import os
import signal
import sys
from pathlib import Path

from gristmill.tasks import catalog
from gristmill.worker.restoration.state import process_state
from gristmill.worker.slot import quarantine


def no_room(*_, **__):
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def recursion_limit_after_an_item():
    catalog.load()
    process_state.after_item(1.0, failed=False)
    return sys.getrecursionlimit()


def pid():
    return os.getpid()


def raising(text):
    raise LookupError(text)


def segfault():
    ctypes.string_at(0)


def leave(code):
    os._exit(code)


def kill_group():
    os.killpg(0, signal.SIGKILL)


def allocate(size):
    return len(bytearray(size))


def idle_soon(seconds):
    quarantine.IDLE_SECONDS = seconds
    return os.getpid()


def die_times(counter, times):
    path = Path(counter)
    before = len(path.read_bytes()) if path.exists() else 0
    path.write_bytes(b"." * (before + 1))
    if before < times:
        os.kill(os.getpid(), signal.SIGKILL)
    return before + 1
