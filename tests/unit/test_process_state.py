"""What an item changes of its process is undone before the next item, or the process is replaced."""

import builtins
import ctypes
import gc
import io
import json
import locale
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from gristmill.local.descendants import children
from gristmill.worker.restoration import state as process_state
from gristmill.worker.restoration.fork_mark import _ByPid, fork_mark
from gristmill.worker.restoration.state import ProcessState
from tests.support.grandchildren import in_fork, may_fork, runs  # noqa: F401

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="descriptors and limits as on Linux")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _lower_file_limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


_own_logger = logging.getLogger("gristmill.worker.some_module")
_OTHER_LOCALE = "C" if locale.setlocale(locale.LC_CTYPE) != "C" else "C.UTF-8"


def _silence_loggers():
    """As `logging.config.dictConfig` does."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = True


#: A descriptor that the process has before its items.
NUMBER = 150

#: What an item does in no time and with success -> what the next item sees of it.
CHEAP = {
    "directory": (lambda: os.chdir("/"), Path.cwd),
    "directory by descriptor": (lambda: os.fchdir(os.open("/", os.O_RDONLY)), Path.cwd),
    "umask": (lambda: os.umask(0o777), _umask),
    "variable": (lambda: os.environ.update(HOME="elsewhere", NEW="1"), lambda: dict(os.environ)),
    "no variables": (os.environ.clear, lambda: dict(os.environ)),
    "variable by putenv": (lambda: os.putenv("HOME", "elsewhere"), lambda: subprocess.getoutput("echo $HOME")),
    "zone": (lambda: (os.environ.update(TZ="Asia/Tokyo"), time.tzset()), lambda: time.localtime(0).tm_hour),
}
#: What is undone after an item that failed or took over a millisecond, and before the outcomes are recorded.
FULL = {
    "environ": (lambda: setattr(os, "environ", {}), lambda: dict(os.environ)),
    "handler": (lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN), lambda: signal.getsignal(signal.SIGUSR1)),
    "blocked": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGALRM]),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "alarm": (lambda: signal.alarm(100), lambda: signal.alarm(0)),
    "limit": (_lower_file_limit, lambda: resource.getrlimit(resource.RLIMIT_FSIZE)),
    "json": (lambda: setattr(json, "dumps", len), lambda: json.dumps([1])),
    "time": (lambda: setattr(time, "monotonic", int), lambda: time.monotonic.__name__),
    "os": (lambda: setattr(os, "getpid", int), lambda: os.getpid.__name__),
    "streams": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout is None),
    "open": (lambda: setattr(builtins, "open", len), lambda: open.__name__),
    "socket": (lambda: setattr(socket, "socket", int), lambda: socket.socket.__name__),
    "recursion": (lambda: sys.setrecursionlimit(500), sys.getrecursionlimit),
    "profile": (lambda: sys.setprofile(lambda *_: None), sys.getprofile),
    "collection": (gc.disable, gc.isenabled),
    "thresholds": (lambda: gc.set_threshold(10**6, 1, 1), gc.get_threshold),
    "socket's time": (lambda: socket.setdefaulttimeout(0.001), socket.getdefaulttimeout),
    "locale": (lambda: locale.setlocale(locale.LC_CTYPE, _OTHER_LOCALE), lambda: locale.setlocale(locale.LC_CTYPE)),
    "warnings": (lambda: warnings.simplefilter("error"), lambda: [*warnings.filters]),
    "logging off": (lambda: logging.disable(logging.CRITICAL), lambda: logging.getLogger("mine").isEnabledFor(50)),
    "logging level": (lambda: logging.root.setLevel(logging.CRITICAL), lambda: logging.root.level),
    "logging handlers": (logging.root.handlers.clear, lambda: logging.root.handlers[:]),
    "loggers": (_silence_loggers, lambda: _own_logger.disabled),
    "cores": (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}), lambda: os.sched_getaffinity(0)),
}
REPLACED = {
    "hard limit": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30)),
    "closed descriptor": lambda: os.close(NUMBER),
    "another descriptor": lambda: os.dup2(os.open("/dev/zero", os.O_RDONLY), NUMBER),
    "open descriptors": lambda: [os.dup(2) for _ in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 3 // 4)],
    "threads": lambda: [threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(70)],
    "process": lambda: subprocess.Popen(["sleep", "600"]),
    "priority": lambda: os.nice(5),
    "closed stream": lambda: [each.close() for each in (sys.stdout,)],
    "detached stream": lambda: [each.detach() for each in (sys.stdout,)],
    "session": os.setsid,
}


def _after(change, view, seconds, failed):
    """Whether the change can be seen, whether it can still be seen after the item, and whether the process is spent."""

    def run():
        os.environ.pop("TZ", None)
        time.tzset()
        if os.geteuid() == 0:
            # The superuser may raise a hard limit again.
            os.setuid(65534)
        os.dup2(os.open(os.devnull, os.O_RDONLY), NUMBER)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False))
        state = ProcessState()
        state.begin()
        state.before_items()
        before = view()
        change()
        changed = view() != before
        state.after_item(seconds, failed=failed)
        return changed, view() != before, state.is_spent

    return in_fork(run)


@pytest.mark.parametrize("what", CHEAP)
def test_the_next_item_finds_what_this_one_found(what, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o777)
    assert _after(*CHEAP[what], 0.0, failed=False) == "(True, False, False)"


@pytest.mark.parametrize(("seconds", "failed"), [(0.002, False), (0.0, True)], ids=["long", "failed"])
@pytest.mark.parametrize("what", FULL)
def test_a_long_or_failed_item_is_undone_whole(what, seconds, failed):
    assert _after(*FULL[what], seconds, failed=failed) == "(True, False, False)"


@pytest.mark.parametrize("what", REPLACED)
def test_what_cannot_be_undone_replaces_the_process(what):
    assert _after(REPLACED[what], lambda: None, 1.0, failed=False) == "(False, False, True)"


def test_a_connection_that_is_made_again_between_chunks_replaces_nothing():
    def run():
        state = ProcessState()
        state.begin()
        ours, theirs = socket.socketpair()
        state.before_items()
        ours.close()
        theirs.close()
        again = socket.socketpair()
        state.before_items()
        state.after_item(1.0, failed=False)
        spared = state.is_spent
        again[0].close()
        state.after_item(1.0, failed=False)
        return spared, state.is_spent

    assert in_fork(run) == "(False, True)"


def test_what_somebody_sets_between_chunks_stays():
    def run():
        state = ProcessState()
        state.begin()
        cores = {min(os.sched_getaffinity(0))}
        os.sched_setaffinity(0, cores)
        os.nice(1)
        state.before_items()
        state.after_item(1.0, failed=False)
        return os.sched_getaffinity(0) == cores, state.is_spent

    assert in_fork(run) == "(True, False)"


@pytest.mark.parametrize("item_silences", [True, False])
def test_a_logger_that_was_silent_before_stays_so(item_silences):
    def run():
        _own_logger.disabled = True
        state = ProcessState()
        state.begin()
        for logger in (_own_logger, logging.getLogger("mine")):
            logger.disabled = item_silences
        state.after_item(1.0, failed=False)
        return _own_logger.disabled, logging.getLogger("mine").disabled

    assert in_fork(run) == "(True, False)"


def test_a_logger_that_takes_a_place_which_python_has_kept_for_it_is_noticed():
    def run():
        logging.getLogger("placed.below")
        state = ProcessState()
        state.begin()
        logging.getLogger("placed")
        state.after_item(1.0, failed=False)
        state.before_items()
        logging.getLogger("placed").disabled = True
        state.after_item(1.0, failed=False)
        return logging.getLogger("placed").disabled

    assert in_fork(run) == "False"


def test_a_stream_of_the_task_s_own_replaces_nothing():
    def run():
        sys.stdout = type("Tee", (), {"write": len, "flush": id})()
        state = ProcessState()
        state.begin()
        state.after_item(1.0, failed=False)
        return state.is_spent

    assert in_fork(run) == "False"


def test_closed_standard_streams_are_back():
    def inodes():
        answer = []
        for number in range(3):
            try:
                answer.append(os.fstat(number).st_ino)
            except OSError:
                answer.append(None)
        return answer

    assert _after(lambda: os.closerange(0, 3), inodes, 1.0, failed=False) == "(True, False, False)"


def test_a_process_that_an_item_has_left_ends():
    def run():
        state = ProcessState()
        own = subprocess.Popen(["sleep", "600"]).pid
        state.begin()
        theirs = subprocess.Popen(["sleep", "600"]).pid
        state.after_item(1.0, failed=False)
        answer = runs(own), runs(theirs)
        os.kill(own, signal.SIGKILL)
        return answer

    assert in_fork(run) == "(True, False)"


def test_a_copy_that_an_item_has_forked_does_not_go_on():
    def run():
        state = ProcessState()
        state.begin()
        copy = os.fork()
        if not copy:
            state.leave_if_forked()
            os._exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])

    assert in_fork(run) == "0"


@pytest.mark.parametrize("make", [fork_mark, _ByPid])
@pytest.mark.parametrize("fork", [os.fork, ctypes.PyDLL(None).fork], ids=["python", "c"])
def test_a_mark_tells_a_copy(make, fork):
    def run():
        mark = make()
        copy = fork()
        if not copy:
            os._exit(mark[0])
        return mark[0], os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])

    assert in_fork(run) == "(1, 0)"


def test_an_item_that_stays_where_it_is_costs_no_return(monkeypatch):
    returns = []
    monkeypatch.setattr(process_state, "fchdir", lambda _: returns.append(os.chdir(".")))

    def run():
        state = ProcessState()
        state.begin()
        state.restore_all()
        for _ in range(3):
            state.after_item(0.0, failed=False)
        return len(returns)

    assert in_fork(run) == "1"


def test_a_process_is_spent_after_its_items():
    def run():
        state = ProcessState()
        state.begin(max_items=2)
        spent = []
        for _ in range(3):
            spent.append(state.is_spent)
            state.after_item(0.0, failed=False)
        return spent

    assert in_fork(run) == repr([False, False, True])


def test_nothing_is_looked_at_in_threads():
    mask, state = _umask(), ProcessState()
    os.umask(0o123)
    state.after_item(1.0, failed=True)
    assert (os.umask(mask), state.is_spent) == (0o123, False)


def test_a_program_whose_start_was_interrupted_ends_before_its_chunk_is_recorded():
    """Nobody has its process: its time limit has ended the item in the call that starts it."""

    def run():
        state = ProcessState()
        state.begin()
        state.before_items()
        os.posix_spawn("/bin/sleep", ["sleep", "600"], os.environ)
        state.after_item(1.0, failed=True, by_program=True)
        state.after_items(None)
        return len(children(os.getpid())), state.is_spent

    assert in_fork(run) == "(0, True)"
