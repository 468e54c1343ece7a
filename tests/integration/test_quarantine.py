"""Isolation with real processes: what a piece of work does to its process, it does to nothing else."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gristmill.worker.slot import quarantine
from gristmill.worker.slot.quarantine import DEATHS, ProcessDied, QuarantineProcess, TimedOut, quarantined
from tests.conftest import until
from tests.support import wreckers
from tests.support.ledger import FIELDS, enlist, info, pop


@pytest.fixture
def quarantine_process():
    quarantine_process = QuarantineProcess()
    yield quarantine_process
    quarantine_process.close()


def test_a_call_answers_or_raises_from_another_process(quarantine_process):
    assert quarantine_process.run(wreckers.pid) == quarantine_process.run(wreckers.pid) != os.getpid()
    with pytest.raises(LookupError, match="nothing there"):
        quarantine_process.run(wreckers.raising, "nothing there")


@pytest.mark.parametrize(
    ("wreck", "arguments", "ending"),
    [
        (wreckers.segfault, (), r"signal 11 \(SIGSEGV\)"),
        (wreckers.leave, (3,), "exit code 3"),
        (wreckers.leave, (0,), "exit code 0"),
        (wreckers.kill_group, (), r"signal 9 \(SIGKILL\)"),
    ],
)
def test_what_kills_the_process_is_told_and_the_next_call_gets_another(quarantine_process, wreck, arguments, ending):
    first = quarantine_process.run(wreckers.pid)
    with pytest.raises(ProcessDied, match=ending):
        quarantine_process.run(wreck, *arguments)
    assert quarantine_process.run(wreckers.pid) != first


def test_what_takes_too_long_is_ended(quarantine_process):
    first = quarantine_process.run(wreckers.pid)
    with pytest.raises(TimedOut):
        quarantine_process.run(time.sleep, 60, seconds=0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_memory_is_limited(quarantine_process, monkeypatch):
    monkeypatch.setenv("GRISTMILL_SLOT_MEMORY", str(512 << 20))
    assert quarantine_process.run(wreckers.allocate, 64 << 20) == 64 << 20
    with pytest.raises(MemoryError):
        quarantine_process.run(wreckers.allocate, 1 << 30)


def test_an_idle_process_ends_by_itself_and_is_replaced(quarantine_process):
    first = quarantine_process.run(wreckers.idle_soon, 0.1)
    assert until(lambda: quarantine_process._child.poll() is not None)
    assert quarantine_process.run(wreckers.pid) != first


def test_a_process_that_cannot_start_is_nobody_s_guilt(quarantine_process, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(quarantine.QuarantineUnavailable, match="exit code 1"):
        quarantine_process.run(wreckers.pid)


def test_nor_is_a_host_that_has_room_for_no_other(quarantine_process, monkeypatch):
    monkeypatch.setattr(quarantine.subprocess, "Popen", wreckers.no_room)
    with pytest.raises(quarantine.QuarantineUnavailable, match="temporarily unavailable"):
        quarantine_process.run(wreckers.pid)


def test_what_a_module_sets_for_its_process_is_no_change_of_an_item(quarantine_process, monkeypatch, tmp_path):
    (tmp_path / "deep.py").write_text("import sys\nsys.setrecursionlimit(5000)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "deep")
    assert quarantine_process.run(wreckers.recursion_limit_after_an_item) == 5000


def test_a_child_process_ends_with_its_parent():
    code = (
        "from tests.support import wreckers; from gristmill.worker.slot.quarantine import QuarantineProcess; "
        # The child ends with its link, which would be closed with an object that nobody holds.
        "process = QuarantineProcess(); print(process.run(wreckers.pid), flush=True); input()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.communicate()
    until(lambda: not Path(f"/proc/{child}").exists(), what="the child's end")


@pytest.mark.slow
def test_only_repeated_deaths_are_proof(tmp_path):
    counter = tmp_path / "deaths"
    assert quarantined(wreckers.die_times, str(counter), DEATHS - 1) == DEATHS
    counter.unlink()
    with pytest.raises(ProcessDied):
        quarantined(wreckers.die_times, str(counter), DEATHS)


@pytest.mark.slow
def test_a_process_waits_for_the_server_however_short_its_time_limit(server, ledger):
    enlist(ledger)
    ledger.create("b", "token", {**FIELDS, "task": "hold_up", "parameter": "ms"})
    ledger.append("b", "token", 0, ["4000"], "sha")
    chunk = pop(ledger)
    code = (
        "from gristmill.batches.chunk import Chunk; from gristmill.batches.ledger import Ledger; "
        "from gristmill.config.settings import settings; from gristmill.server.connection import client; "
        "from gristmill.worker import limits; from gristmill.worker.slot.runner import Runner; "
        f"limits.GRACE_SECONDS = 0; Runner(Ledger(client(), settings()), settings()).run({chunk!r}, 'cpu@a')"
    )
    own = {
        "GRISTMILL_REDIS_URL": server.url,
        "GRISTMILL_PREFIX": ledger.settings.prefix,
        "GRISTMILL_TASK_MODULES": "tests.support.holding_up",
    }
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **own}, timeout=60, check=True)
    assert info(ledger, "b").succeeded == 1


@pytest.mark.slow
def test_a_message_that_kills_its_worker_is_proven_guilty_and_its_neighbours_run(bench):
    """Threads: each death takes the whole worker along, so another one is started until all is done."""
    bench.send("for n in range(20): mark.delay(n, 0.02)\ndie.delay(99)\nfor n in range(20, 40): mark.delay(n, 0.02)")
    worker = bench.worker("threads", 4, 5)

    def finished():
        nonlocal worker
        if worker.poll() is not None:
            worker = bench.worker("threads", 4, 5)
        return set(bench.done()) == set(range(40)) and bench.standing() == 0

    until(finished, 100)
    assert worker.poll() is None
    assert len(bench.workers) == 3, "two workers died of it, the third ran it alone"
    (letter,) = bench.dead()
    assert (letter["deaths"], json.loads(letter["message"])["headers"]["task"].rpartition(".")[2]) == ("3", "die")
    assert "SIGKILL" in letter["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_that_exits_gives_its_slot_back_and_is_given_up_on(bench, pool):
    bench.send("leave.delay(3)\nfor n in range(10): mark.delay(n)")
    worker = bench.worker(pool, 1)
    until(lambda: bench.done() == list(range(10)) and bench.standing() == 0, 60)
    assert worker.poll() is None
    (letter,) = bench.dead()
    assert (letter["deaths"], json.loads(letter["message"])["headers"]["task"].rpartition(".")[2]) == ("3", "leave")
    assert "exit code 3" in letter["reason"]


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_suspect_that_is_innocent_ends_as_celery_ends_it(bench, pool):
    """Results, chains, retries, errors and rejects of a task that runs alone are those of any task."""
    bench.suspects(
        "chain(double.s(4), keep.s()).apply_async()",
        "fail_once.delay(7)",
        "rejected.delay(8)",
        "failing.apply_async((9,), link_error=keep_error.s())",
    )
    bench.worker(pool)
    until(lambda: bench.done() == [7, 8, 9] and bench.client.get(bench.prefix + "kept") == "8", 60)
    until(lambda: bench.standing() == 0)
    assert bench.dead() == []
    alone = {int(pid) for pid in bench.client.lrange(bench.prefix + "pids", 0, -1)}
    assert not alone & bench.pids(), "they ran in processes of their own"
