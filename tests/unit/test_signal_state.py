"""What a process that an item forks does with the signals that its worker handles."""

import os
import signal
import sys

import pytest

from gristmill.worker.restoration.signal_state import keep_handlers_from_copies
from tests.support.grandchildren import in_fork


def _copy_ends(in_copy):
    """How a copy ends that does `in_copy` when it has begun, of this process."""
    copy = os.fork()
    if not copy:
        in_copy()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1"])
@pytest.mark.parametrize("comes", ["while it begins", "later"])
def test_a_copy_ends_at_a_signal_that_its_worker_handles(name, comes):
    number = getattr(signal, name)

    def end():
        os.kill(os.getpid(), number)

    def run():
        signal.signal(number, lambda *_: sys.exit(1))
        if comes == "while it begins":
            os.register_at_fork(after_in_child=end)
        keep_handlers_from_copies()
        return _copy_ends(end if comes == "later" else lambda: None)

    assert in_fork(run) == str(-number)


def test_a_copy_leaves_ctrl_c_to_its_worker():
    def run():
        signal.signal(signal.SIGINT, lambda *_: sys.exit(1))
        keep_handlers_from_copies()
        return _copy_ends(lambda: os.kill(os.getpid(), signal.SIGINT))

    assert in_fork(run) == "0"


def test_the_worker_keeps_its_handlers_and_an_item_gives_its_own_to_its_copies():
    def run():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        keep_handlers_from_copies()
        before = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, ())
        _copy_ends(lambda: None)
        is_same = before == (signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        # What a task sets is its own: its copies have it, as everywhere.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
        return is_same, _copy_ends(lambda: os.kill(os.getpid(), signal.SIGTERM))

    assert in_fork(run) == "(True, 7)"
