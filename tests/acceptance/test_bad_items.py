"""Items that raise, hang, eat memory or kill their process: each is reported with its cause, its neighbours succeed."""

import pytest

from tests.support.command import Place

TASKS = '''
"""A task that does to its process what its item says."""

import ctypes
import os
import re
import signal
import sys
import time

from gristmill.tasks.kinds import cpu, io
from gristmill.worker.slot import item_runner


def wreck(what):
    if what == "raise":
        raise LookupError("nothing there")
    if what == "sleep":
        time.sleep(600)
    if what == "stuck":
        re.match(r"(a+)+$", "a" * 40 + "b")
    if what == "eat":
        return len(bytearray(8 << 30))
    if what == "segfault":
        ctypes.string_at(0)
    if what == "exit":
        sys.exit(3)
    if what == "_exit":
        os._exit(0)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "break":
        item_runner.outcome_of = None
    return what


@cpu(time_limit=1)
def computed(what: str):
    """Compute."""
    return wreck(what)


@io(time_limit=1)
def waited(what: str):
    """Wait."""
    return wreck(what)
'''

LONG = '''
"""A task of a millisecond, with items that go wrong until a file is there."""

import time
from pathlib import Path

from wrecks import wreck

from gristmill.tasks.kinds import cpu


@cpu(time_limit=5)
def sift(what: str, mended: str):
    """Compute for a while."""
    end = time.process_time() + 0.001
    while time.process_time() < end:
        pass
    return what if Path(mended).exists() else wreck(what)
'''

#: What an item says: the state it ends in, and the type of its error.
CAUSES = {
    "raise": ("failed", "LookupError"),
    "sleep": ("failed", "TimeLimitExceeded"),
    "stuck": ("failed", "TimeLimitExceeded"),
    "eat": ("failed", "MemoryError"),
    "exit": ("failed", "SystemExit"),
    "segfault": ("dead", "ProcessDied"),
    "_exit": ("dead", "ProcessDied"),
    "kill": ("dead", "ProcessDied"),
    "break": ("failed", "TypeError"),
}


@pytest.fixture
def own(tmp_path):
    # What an item may have that ran out of memory and runs once more.
    place = Place(tmp_path, {"wrecks": TASKS, "sifting": LONG}, GRISTMILL_WORKER_MEMORY="2G")
    yield place
    place.deserted()


def judged(place: Place, name: str, items: list[str], seconds: float = 100) -> None:
    """Assert that each item has the outcome that it says, and that the books balance."""
    info = place.ended(name, seconds)
    wanted = [CAUSES.get(item, ("succeeded", None)) for item in items]
    found = [(result.state, result.error and result.error["type"]) for result in place.results(name)]
    assert found == wanted
    states = [state for state, _ in wanted]
    counters = (info.succeeded, info.failed, info.dead, info.left)
    assert counters == (states.count("succeeded"), states.count("failed"), states.count("dead"), 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_each_in_a_process_pool(own):
    items = [word for n, cause in enumerate(CAUSES) for word in (f"good {n}", cause)] + ["good"] * 200
    with own.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_SLOT_MEMORY=str(1 << 30)):
        own.run("submit", "computed", "--from", own.file("items", "\n".join(items)), "--name", "x").good()
        judged(own, "x", items)
        died = next(result for result in own.results("x") if result.input == "segfault")
        assert died.error["message"] == "the call killed its process 3 of 3 times: signal 11 (SIGSEGV)"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killer_among_threads(own):
    """Each of its deaths takes the worker and all that it runs along, until it runs alone."""
    items = ["good"] * 30 + ["kill"] + ["good"] * 30 + ["exit", "raise"]
    with own.up("io", "--io-slots", "8", in_peace=False, GRISTMILL_LEASE_SECONDS="2") as running:
        own.run("submit", "waited", "--from", own.file("items", "\n".join(items)), "--name", "x").good()
        judged(own, "x", items)
        # Two deaths make its message a suspect; a slot that went on to its chunk under another message adds to them.
        assert 2 <= running.err.count("the io worker ended with code -9") <= 5, running.err


@pytest.mark.parametrize(("queue", "task"), [("cpu", "computed"), ("io", "waited")])
def test_what_breaks_the_worker_itself_harms_no_neighbour(own, queue, task):
    """The worker's own code raises: in a process until that has ended, in threads until the worker is replaced."""
    items = ["good"] * 3 + ["break"] + ["good"] * 3
    with own.up(queue, f"--{queue}-slots", "2", in_peace=False) as running:
        own.run("submit", task, "--from", own.file("items", "\n".join(items)), "--name", "x").good()
        judged(own, "x", items)
        if queue == "io":
            running.says("the io worker ended with code 0;")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_seventeen_of_ten_thousand(own, tmp_path):
    """They cost the others little time, and run again when their cause is mended."""
    bad = ["raise"] * 10 + ["sleep", "stuck", "sleep"] + ["segfault"] * 2 + ["eat", "_exit"]
    items = [f"good {n}" for n in range(10_000 - len(bad))]
    for number, word in enumerate(bad):
        items.insert(500 * number + 250, word)
    mended = tmp_path / "mended"
    command = ("submit", "sift", "--set", f"mended={mended}", "--from")
    with own.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_SLOT_MEMORY=str(1 << 30)):
        own.run(*command, own.file("clean", "\n".join(f"good {n}" for n in range(10_000))), "--name", "clean").good()
        clean = own.ended("clean", 300)
        assert (clean.succeeded, clean.finished - clean.created >= 5) == (10_000, True)
        own.run(*command, own.file("items", "\n".join(items)), "--name", "x").good()
        judged(own, "x", items, 400)
        info = own.info("x")
        # Three hang for their limit, the stuck one for it and its grace, twice.
        limits = 5 + 5 + 2 * 11
        assert info.finished - info.created <= 1.5 * (clean.finished - clean.created) + limits + 3 * 20
        mended.touch()
        own.run("retry", "x").good()
        again = own.ended("x", 120)
        assert (again.succeeded, again.failed, again.dead) == (10_000, 0, 0)
