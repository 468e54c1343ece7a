"""A submit that is killed and repeated submits each item once, whatever dies meanwhile."""

import os
import random
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from psutil import NoSuchProcess

from tests.conftest import until

COUNT, KILLS, WORKER_KILLS = 20_000, 25, 10
#: So many of the lines that one producer gets come slowly.
SLOWLY = 750


@contextmanager
def pipe(lines):
    """A pipe with these lines that stays open while the context lasts."""
    reader, writer = os.pipe()

    closed = threading.Event()

    def write():
        # The last lines come a few at a time, so that they are stored in several blocks.
        pieces = [lines[:-SLOWLY], *(lines[start:][:250] for start in range(len(lines) - SLOWLY, len(lines), 250))]
        with suppress(BrokenPipeError):
            for piece in pieces:
                data = "".join(f"{line}\n" for line in piece).encode()
                while data:
                    data = data[os.write(writer, data) :]
                closed.wait(0.2)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield reader
    finally:
        closed.set()
        os.close(reader)
        thread.join()
        os.close(writer)


def kill_worker(place, whole):
    """Kill a process of the cpu worker's pool, or the whole worker; False when there is none just now."""
    with suppress(NoSuchProcess):
        for process in place.processes():
            children = process.children() if process.cmdline()[2:5] == ["-m", "gristmill.worker", "cpu"] else []
            if children:
                os.kill(process.pid if whole else children[0].pid, signal.SIGKILL)
                return True
    return False


def stored(place):
    with place.ledger() as ledger:
        return int(ledger.state("x").get("stored", 0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_again_and_again_while_workers_die(place, record_property):
    luck = random.Random(1)
    items = [str(n % 20) for n in range(COUNT)]
    command = ("submit", "fibonacci", "--from", "-", "--name", "x")
    reached, worker_kills = [], 0
    with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2"):
        for number in range(KILLS):
            upto = (number + 1) * COUNT // (KILLS + 1)
            with pipe(items[:upto]) as reader, place.start(*command, stdin=reader) as running:
                # At any moment from its start on, mostly while it sends.
                goal = max(stored(place), upto - SLOWLY) + luck.randrange(SLOWLY)
                late = time.monotonic() + (luck.uniform(0.2, 6) if luck.random() < 0.2 else 60)
                until(lambda: stored(place) > goal or time.monotonic() > late, 70)  # noqa: B023
                os.kill(running.pid, signal.SIGKILL)
                running.end()
            reached.append(stored(place))
            if worker_kills < WORKER_KILLS:
                # A worker that dies soon after its start is started again later and later.
                worker_kills += kill_worker(place, whole=number % 10 == 0)
        path = place.file("items", "\n".join(items))
        place.run("submit", "fibonacci", "--from", path, "--name", "x").good()
        info = place.ended("x", 600)
        results = place.results("x")
        again = place.run("submit", "fibonacci", "--from", path, "--name", "x").good()
    lost = info.submitted - info.succeeded - info.failed - info.cancelled - info.dead
    figures = (
        f"{KILLS} kills of the producer at {len(set(reached))} places, {worker_kills} of workers: "
        f"submitted {info.submitted:,}, results {len(results):,}, lost {lost}, duplicates {info.duplicates}"
    )
    record_property("figures", figures)
    print(figures)  # noqa: T201 (shown by `pytest -rP`)
    assert (info.submitted, info.succeeded, lost) == (COUNT, COUNT, 0), figures
    assert [result.index for result in results] == list(range(COUNT))
    assert [str(result.input) for result in results] == items
    assert len(set(reached)) > KILLS / 2, figures
    # On a busy machine a worker is not always there again in time for the next kill.
    assert worker_kills > WORKER_KILLS / 2, figures
    assert "nothing new" in again.err


def test_two_at_once(fleet, name):
    """One wins, the other says so, and goes on once the first has gone."""
    command = ("submit", "pause", "--from", "-", "--name", name)
    with fleet.start(*command, stdin=subprocess.PIPE) as first:
        first.process.stdin.write("0\n")
        first.process.stdin.flush()
        until(lambda: name in fleet.names() and fleet.info(name).submitted, what="the first item")
        fleet.run(*command, stdin="0\n0\n").refused(f"batch {name!r}", f"gristmill watch {name}")
        os.kill(first.pid, signal.SIGKILL)
        first.end()
    fleet.run(*command, stdin="0\n0\n").good()
    assert fleet.info(name).submitted == 2
