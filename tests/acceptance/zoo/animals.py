"""The tasks: each item names what it does."""

import ctypes
import decimal
import gc
import json
import logging
import logging.config
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from joblib import Parallel, delayed

from gristmill.tasks.kinds import cpu, io
from gristmill.worker.slot import item_runner

PROGRAM = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
KEPT = []
#: A user that owns no process.
NOBODY_ELSE = 61_234
#: Some animals patch it.
SLEEP = time.sleep


def _daemonise():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()


def _forks_and_dies():
    if os.fork() == 0:
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL)


def _daemonises_and_dies():
    _daemonise()
    os.kill(os.getpid(), signal.SIGKILL)


def _forks_and_returns_twice():
    os.fork()
    return "forked"


def _forks_and_raises_twice():
    os.fork()
    raise LookupError("forked")


def _leaves_a_program():
    subprocess.Popen(PROGRAM)


def _leaves_a_program_that_ignores_signals():
    subprocess.Popen(["sh", "-c", "trap '' TERM INT HUP; while :; do sleep 1; done"], start_new_session=True)


def _leaves_many_processes():
    for _ in range(50):
        if os.fork() == 0:
            time.sleep(600)


def _exhausts_processes():
    """Fork until the system refuses, as a user of its own: the limit of processes is that user's, and root has none."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        if os.geteuid() == 0:
            os.setuid(NOBODY_ELSE)
            most = 30
        else:
            most = len(list(Path("/proc").glob("[0-9]*"))) + 30
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        # Also where the limit does not count.
        for number in range(most):
            try:
                if os.fork() == 0:
                    os.close(writing)
                    SLEEP(600)
            except BlockingIOError:
                os.write(writing, str(number).encode())
                break
        SLEEP(600)
    os.close(writing)
    return int(os.read(reading, 9))


def _kills_its_process_group():
    os.killpg(0, signal.SIGKILL)


def _runs_too_long_with_a_program():
    subprocess.run(PROGRAM, check=True)


def _ignores_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _blocks_signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _changes_directory():
    os.chdir("/")


def _changes_umask():
    os.umask(0o777)


def _changes_environment():
    os.environ.clear()
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def _changes_limits():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _closes_standard_streams():
    for number in range(3):
        os.close(number)


def _closes_everything():
    os.closerange(0, 4096)


def _exhausts_descriptors():
    try:
        while True:
            KEPT.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return len(KEPT)


def _patches_json():
    json.dumps = json.loads = lambda *_, **__: "broken"


def _patches_time():
    time.time = time.monotonic = time.perf_counter = lambda: 0.0


def _patches_os():
    os.getpid = lambda: 1


def _patches_streams():
    sys.stdout = sys.stderr = None


def _closes_its_streams():
    sys.stdout.close()
    sys.stderr.detach()


def _leaks_memory():
    KEPT.append(bytearray(300 << 20))


def _eats_memory():
    return len(bytearray(64 << 30))


def _leaks_threads():
    threading.stack_size(256 << 10)
    for _ in range(100):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def _holds_the_gil():
    # Each signal ends a sleep, also one that came too early for this item.
    for _ in range(9):
        ctypes.PyDLL(None).sleep(600)


def _segfault():
    ctypes.string_at(0)


def _stops_its_time_limit():
    signal.alarm(0)


def _pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])


def _executor():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(abs, [-1, -2]))


def _leaves_an_executor():
    KEPT.append(ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")))
    return KEPT[-1].submit(abs, -3).result()


def _becomes_another_program():
    os.execv("/bin/true", ["true"])


def _lowers_the_limit_of_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def _waits_for_itself():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def _recurses():
    return _recurses()


class _Mute(Exception):
    def __str__(self):
        raise ValueError("no text")


def _raises_without_a_text():
    raise _Mute


class _Masked(Exception):
    def __getattribute__(self, name):
        raise LookupError(name)


def _raises_without_attributes():
    raise _Masked


class _Mumbling(Exception):
    def __str__(self):
        return str(all(True for _ in iter(int, 1)))


def _raises_with_an_endless_text():
    raise _Mumbling


def _breaks_the_worker():
    item_runner.outcome_of = None


def _closes_the_pipes_of_the_pool():
    os.closerange(3, 10)


def _silences_logging():
    logging.config.dictConfig({"version": 1, "root": {"handlers": [], "level": "ERROR"}})
    logging.disable(logging.CRITICAL)


def _adds_a_handler_that_exits():
    logging.root.addHandler(_MExiting())


class _MExiting(logging.Handler):
    def emit(self, record):
        raise SystemExit(4)


def _changes_the_interpreter():
    gc.disable()
    sys.setrecursionlimit(10**9)
    sys.setprofile(lambda *_: None)
    socket.setdefaulttimeout(0.0001)
    warnings.simplefilter("error")
    decimal.getcontext().prec = 2


def _takes_one_core_at_a_low_priority():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.nice(5)


def _leaves_its_session():
    os.setsid()


def _exits_in_a_thread():
    threading.Thread(target=os._exit, args=(0,)).start()
    SLEEP(60)


def _stops_its_process():
    os.kill(os.getpid(), signal.SIGSTOP)


def _asks_to_be_traced():
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGCHLD)


def _removes_its_directory():
    os.chdir(tempfile.mkdtemp())
    Path.cwd().rmdir()


ANIMALS = {
    name.removeprefix("_").replace("_", " "): value
    for name, value in list(globals().items())
    if name.startswith("_") and not name.startswith(("__", "_M")) and callable(value)
} | {
    "returns what JSON has not": object,
    "returns too much": lambda: "x" * (2 << 20),
    "raises": lambda: 1 / 0,
    "exits": lambda: sys.exit(3),
    "exits at once": lambda: os._exit(0),
    "aborts": os.abort,
    "interrupts": lambda: os.kill(os.getpid(), signal.SIGINT),
}


@cpu(time_limit=5)
def animal(what: str):
    """Do what the item says, for over a millisecond: less is undone after a shorter item."""
    try:
        return ANIMALS[what]()
    finally:
        SLEEP(0.002)


@cpu(time_limit=30)
def neighbour(number: int):
    """Say in which state the item finds its process."""
    mask = os.umask(0)
    os.umask(mask)
    return [
        str(Path.cwd()),
        mask,
        "HOME" in os.environ or "PATH" in os.environ,
        time.tzname[0],
        json.loads(json.dumps([1])),
        time.time() > 1e9,
        os.getpid() > 1,
        len(subprocess.run(["echo", "hi"], capture_output=True, check=True).stdout),
        Path("/dev/null").open().close(),
        signal.getsignal(signal.SIGUSR1) is not signal.SIG_IGN,
        sys.stdout is not None and not sys.stdout.closed,
        list(resource.getrlimit(resource.RLIMIT_FSIZE)),
        len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        [gc.isenabled(), sys.getrecursionlimit(), sys.getprofile() is None, socket.getdefaulttimeout()],
        [len(warnings.filters), decimal.getcontext().prec, len(os.sched_getaffinity(0)), os.nice(0)],
        [logging.root.level, len(logging.root.handlers), logging.getLogger("gristmill.worker").isEnabledFor(50)],
    ]


@cpu(time_limit=120)
def squares(count: int) -> int:
    """Compute with joblib, whose processes outlive the call."""
    return sum(Parallel(n_jobs=2)(delayed(pow)(number, 2) for number in range(count)))


@cpu(time_limit=200)
def gigabyte(number: int):
    """Print a gigabyte."""
    line = b"x" * ((1 << 20) - 1) + b"\n"
    for _ in range(1024):
        os.write(1, line)


@io
def leaves_a_program(number: int):
    """Start a program and forget it."""
    return subprocess.Popen(PROGRAM).pid
