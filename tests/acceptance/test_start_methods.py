"""Each start method keeps what is promised of a process: one fleet, with a worker for each method."""

import os
import signal
import sys

import psutil
import pytest

from tests.conftest import until
from tests.support.command import Place
from tests.support.grandchildren import sleeping
from tests.support.homes import runs
from tests.support.projects import write

METHODS = {"cpu": "fork", "spawned": "spawn", "served": "forkserver"}
QUEUES = pytest.mark.parametrize("queue", METHODS, ids=METHODS.get)
FILES = {
    "pyproject.toml": '[tool.gristmill]\ntasks = ["ways"]\n',
    "ways.py": """
import functools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Pool

from gristmill import cpu, item

if __name__ == "__main__":
    raise SystemExit("this module was run as a program")

IMPORTED_BY = os.getpid()
RNG = random.Random()


@functools.cache
def loaded_by() -> int:
    return os.getpid()


@cpu(time_limit=60)
def process(wait: float) -> dict[str, object]:
    '''Say what this process is.'''
    time.sleep(wait)
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "imported_by": IMPORTED_BY,
        "slot": item.slot,
        "seed": item.seed,
        "random": random.getrandbits(64),
        "cwd": os.getcwd(),
        "path": sys.path[0],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    }


def _change() -> None:
    os.chdir("/")
    os.environ["LEFT"] = "yes"
    os.umask(0o777)


def _run_too_long() -> None:
    subprocess.Popen(["sleep", os.environ["SLEEP"] + "1"])
    time.sleep(600)


def _die_with_a_daemon() -> None:
    if os.fork() == 0:
        os.setsid()
        subprocess.Popen(["sleep", os.environ["SLEEP"] + "2"])
        time.sleep(600)
    print("my last words", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _speak() -> None:
    print("from Python")
    os.system("echo from a program")
    raise LookupError("said")


def _executors() -> int:
    with ProcessPoolExecutor(1) as executor, Pool(1) as pool:
        return executor.submit(abs, -3).result() + pool.apply(abs, (-4,))


WAYS = {
    "change": _change,
    "look": lambda: [os.getcwd() != "/", os.environ.get("LEFT"), os.umask(0o22) != 0o777],
    "memory": lambda: len(bytearray(2 << 30)),
    "part": lambda: len(bytearray(300 << 20)),
    "large": lambda: "x" * (2 << 20),
    "time": _run_too_long,
    "death": _die_with_a_daemon,
    "speak": _speak,
    "executors": _executors,
}


@cpu(time_limit=3)
def go(way: str) -> object:
    '''Do what the item says.'''
    return WAYS[way]()


@cpu(time_limit=600)
def hold(seconds: str) -> None:
    '''Run a program for long.'''
    subprocess.run(["sleep", seconds], check=True)


@cpu(queue="served", setup=loaded_by, preload=True)
def served(wait: float) -> list[int]:
    '''Say which process ran the setup.'''
    time.sleep(wait)
    return [loaded_by(), os.getpid()]


@cpu(queue="spawned", setup=loaded_by, preload=True)
def spawned(wait: float) -> list[int]:
    '''Say which process ran the setup.'''
    time.sleep(wait)
    return [loaded_by(), os.getpid()]
""",
}


@pytest.fixture(scope="module")
def mill(tmp_path_factory):
    path = tmp_path_factory.mktemp("methods")
    # Slots are numbered among those of all workers that have this directory.
    (path / "tmp").mkdir()
    place = Place(
        path,
        TMPDIR=str(path / "tmp"),
        GRISTMILL_START_METHOD="spawned=spawn,served=forkserver",
        GRISTMILL_DRAIN_SECONDS="60",
        GRISTMILL_SLOT_MEMORY="1G",
        GRISTMILL_WORKER_MEMORY="1G",
        GRISTMILL_MAX_ITEMS_PER_PROCESS="6",
        GRISTMILL_SHARED_DATA_ROOT="true",
        GRISTMILL_DATA_ROOT=str(path),
        SLEEP=f"60{os.getpid()}",
    )
    write(place.cwd, FILES)
    try:
        with place.up(*(f"{queue}=2" for queue in METHODS), cwd=place.cwd, in_peace=False) as up:
            place.up_command = up
            yield place
    finally:
        place.deserted()


def run(mill, queue, task, *items):
    """The rows of a batch on the worker of a queue."""
    return mill.run("run", task, *items, "--queue", queue, "--max-wait", "90", "--quiet", cwd=mill.cwd).rows


@pytest.mark.slow
@QUEUES
def test_a_process_is_a_child_of_its_worker_and_draws_its_own_numbers(mill, queue):
    values = [row["value"] for row in run(mill, queue, "process", *["0.2"] * 16)]
    worker = mill.worker(queue)
    assert {value["parent"] for value in values} == {worker.pid}
    assert {value["slot"] for value in values} == {0, 1}
    assert len({value["random"] for value in values}) == len({value["seed"] for value in values}) == 16
    assert {tuple(value["blocked"]) for value in values} == {()}
    assert {value["cwd"] for value in values} == {str(mill.cwd)}
    pids = [value["pid"] for value in values]
    assert max(pids.count(pid) for pid in pids) <= 6, "GRISTMILL_MAX_ITEMS_PER_PROCESS"
    importers = {value["imported_by"] for value in values}
    if queue == "cpu":
        assert importers == {worker.pid}
    elif queue == "spawned":
        assert importers == {*pids}
    else:
        assert len(importers) == 1, "the fork server imports tasks that preload"
        assert not importers & {*pids, worker.pid}


@pytest.mark.slow
@QUEUES
def test_items_end_as_their_limits_say_and_leave_nothing(mill, queue):
    rows = run(mill, queue, "go", "change", "memory", "time", "death", "speak", "executors", "look")
    ends = {row["input"]: (row["state"], row["value"] or (row["error"] or {}).get("type")) for row in rows}
    assert ends == {
        "change": ("succeeded", None),
        "memory": ("failed", "MemoryError"),
        "time": ("failed", "TimeLimitExceeded"),
        "death": ("dead", "ProcessDied"),
        "speak": ("failed", "LookupError"),
        "executors": ("succeeded", 7),
        "look": ("succeeded", [True, None, True]),
    }
    logs = {row["input"]: row["log"] for row in rows}
    assert logs["speak"] == "from Python\nfrom a program\n"
    assert "my last words" in logs["death"]
    sleep = mill.environ["SLEEP"]
    until(lambda: not sleeping(sleep + "1") + sleeping(sleep + "2"), what="the end of what the items have started")


@pytest.mark.slow
@QUEUES
def test_memory_of_a_batch_values_in_files_and_programs(mill, queue):
    own, bounded = run(mill, queue, "go", "part"), run(mill, queue, "go", "part", "--memory", "200M")
    assert [own[0]["value"], bounded[0]["error"]["type"]] == [300 << 20, "MemoryError"]
    (large,) = run(mill, queue, "go", "large")
    assert len(large["value"]) == 2 << 20
    options = ("--queue", queue, "--max-wait", "90", "--quiet", "--json", "--memory", "1G")
    # Its process may be replaced when it has ended.
    code = "import psutil, sys; print(*[each.pid for each in psutil.Process().parents()]); sys.exit(int(sys.argv[1]))"
    (row,) = mill.run("run", *options, "--", sys.executable, "-c", code, ":::", "3", cwd=mill.cwd).rows
    assert (row["error"]["outcome"]["exit"], row["state"]) == (3, "failed")
    assert str(mill.up_command.pid) in row["error"]["outcome"]["stdout"].split()


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["spawned", "served"], ids=METHODS.get)
def test_a_preload_is_shared_where_that_is_possible(mill, queue):
    pairs = [row["value"] for row in run(mill, queue, queue, *["0.3"] * 6)]
    if queue == "spawned":
        assert all(loaded_by == pid for loaded_by, pid in pairs)
    else:
        (server,) = {loaded_by for loaded_by, _ in pairs}
        assert server not in {pid for _, pid in pairs}
        assert psutil.Process(server).ppid() == mill.worker(queue).pid


@pytest.mark.slow
@QUEUES
def test_busy_shows_an_item_and_a_kill_ends_it_with_its_program(mill, queue):
    sleep = mill.environ["SLEEP"] + "3"
    name = mill.run("submit", "hold", sleep, "--queue", queue, "--quiet", cwd=mill.cwd).good().out.strip()
    until(lambda: sleeping(sleep), what="the program")
    (row,) = until(lambda: mill.run("busy", name, "--json").good().rows, what="the item in `busy`")
    pid = row["pid"]
    assert psutil.Process(pid).ppid() == mill.worker(queue).pid
    mill.run("cancel", name, "--kill").good()
    until(lambda: not sleeping(sleep), what="the end of the program")
    assert mill.ended(name).cancelled == 1
    until(lambda: not psutil.pid_exists(pid), what="the end of the process")


@pytest.mark.slow
@QUEUES
def test_the_death_of_a_process_is_seen(mill, queue):
    sleep = mill.environ["SLEEP"] + "4"
    name = mill.run("submit", "hold", sleep, "--queue", queue, "--quiet", cwd=mill.cwd).good().out.strip()
    (first,) = until(lambda: sleeping(sleep), what="the program")
    pid = psutil.Process(first).ppid()
    os.kill(pid, signal.SIGKILL)
    (second,) = until(lambda: set(sleeping(sleep)) - {first}, what="the second run")
    ancestors = {one.pid for one in psutil.Process(second).parents()}
    assert mill.worker(queue).pid in ancestors
    mill.run("cancel", name, "--kill").good()
    until(lambda: not sleeping(sleep), what="the end of the program")


@pytest.mark.slow
def test_a_fork_server_that_has_died_is_replaced(mill):
    values = [row["value"] for row in run(mill, "served", "process", "0.1")]
    os.kill(values[0]["imported_by"], signal.SIGKILL)
    values += [row["value"] for row in run(mill, "served", "process", *["0.1"] * 24)]
    assert len({value["imported_by"] for value in values}) == 2
    assert {value["parent"] for value in values} == {mill.worker("served").pid}


@pytest.mark.slow
@QUEUES
def test_a_worker_that_is_killed_leaves_nothing(mill, queue):
    sleep = mill.environ["SLEEP"] + "5"
    name = mill.run("submit", "hold", sleep, "--queue", queue, "--quiet", cwd=mill.cwd).good().out.strip()
    until(lambda: sleeping(sleep), what="the program")
    worker = mill.worker(queue)
    family = worker.children(recursive=True)
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not any(runs(one) for one in family), what="the end of what the worker had")
    mill.run("cancel", name, "--kill")


@pytest.mark.slow
def test_a_ctrl_c_at_the_terminal_lets_items_finish(mill):
    names = [
        mill.run("submit", "process", "12", "--queue", queue, "--quiet", cwd=mill.cwd).good().out.strip()
        for queue in METHODS
    ]
    until(lambda: all(mill.busy(queue) for queue in METHODS), what="three items that run")
    # A terminal sends it to every process in the foreground.
    os.killpg(mill.up_command.pid, signal.SIGINT)
    done = mill.up_command.end()
    assert done.code == 0, done
    assert "KeyboardInterrupt" not in done.err
    with mill.server_only():
        assert [mill.info(name).succeeded for name in names] == [1, 1, 1]
