"""Workers that drain, and pools that change their size while they run: no item ends, none is lost."""

import json
import os
import signal
import sys

import pytest

from gristmill.fleet.autoscale_seat import autoscale_now
from gristmill.fleet.registry import WorkerRegistry
from tests.conftest import until
from tests.support.command import Place

TASKS = '''
import os
import time

from gristmill import cpu, io, item


@cpu
def nap(seconds: float):
    """Take so many seconds."""
    time.sleep(seconds)


@io
def doze(seconds: float):
    """The same, in a thread."""
    time.sleep(seconds)
    return item.slot


@io
def trickle(note: str):
    """Leave a line, twenty times a minute at most."""
    with open(note, "a") as file:
        print(item.slot, file=file)


trickle.rate_limit = "20/m"


@cpu
def sign(note: str, number: int):
    """Leave a line with the number, and be a while about it: who is ended here leaves another one."""
    with open(note, "a") as file:
        file.write(f"{number}\\n")
    time.sleep(0.01)


@cpu
def stay(gate: str):
    """The number of the slot, once there is such a file."""
    while not os.path.exists(gate):
        time.sleep(0.05)
    return item.slot


@io
def linger(gate: str):
    """The same, in a thread."""
    return stay.run(gate)
'''


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """A place with a cpu worker of 3 slots and an io worker of 3."""
    place = Place(tmp_path_factory.mktemp("pools"), {"naps": TASKS})
    try:
        with place.up("--cpu-slots", "3", "--io-slots", "3", "cpu", "io") as place.owner:
            yield place
    finally:
        place.deserted()


@pytest.fixture
def fleet(pools):
    yield pools
    pools.run("undrain", *(row["name"] for row in workers(pools))).good()
    until(lambda: {row["slots"] for row in workers(pools)} == {3}, what="the slots of before")


def workers(place):
    return place.run("workers", "--json").good().rows


def worker(place, queue):
    (row,) = [row for row in workers(place) if row["queue"] == queue]
    return row


def acting(place):
    """The host and the pid of the autoscale that acts; '' where none does."""
    with place.ledger() as ledger:
        now = autoscale_now(ledger.settings, ledger.client.time()[0]).answer(ledger.client)
        return now["name"] if now else ""


def resize(place, queue, slots):
    with place.ledger() as ledger:
        WorkerRegistry(ledger.client, ledger.settings).resize(worker(place, queue)["id"], slots)


@pytest.mark.parametrize(("queue", "task"), [("cpu", "stay"), ("io", "linger")])
def test_a_drained_worker_finishes_what_runs_and_takes_nothing(fleet, name, queue, task):
    first, last = fleet.path / f"{name}-1", fleet.path / f"{name}-2"
    fleet.run("submit", task, *[str(first)] * 3, str(last), "--name", name).good()
    until(lambda: fleet.busy(queue) == 3, what="busy slots")
    target = worker(fleet, queue)["name"]
    late = fleet.run("drain", target, "--max-wait", "0.5s")
    assert (late.code, target in late.complaint) == (124, True), late
    draining = until(lambda: (row := worker(fleet, queue))["draining"] and row, what="the worker to say so")
    assert (draining["slots"], draining["busy"]) == (0, 3)
    assert "draining" in fleet.run("workers").good().out
    with fleet.start("drain", target) as drain:
        first.touch()
        assert f"undrain {target}" in drain.end().good().err
    info = fleet.info(name)
    assert (info.succeeded, info.left, info.duplicates) == (3, 1, 0)
    # A plain Celery message stands on the queue, whatever the slots are.
    code = f"import naps; naps.{task}.delay({str(last)!r})"
    assert fleet.process([sys.executable, "-c", code]).code == 0
    fleet.run("drain", target, "--max-wait", "2s").good()
    with fleet.ledger() as ledger:
        registry = WorkerRegistry(ledger.client, ledger.settings)
        assert (registry.waiting(queue), fleet.busy(queue)) == (1, 0)
    fleet.run("undrain", target).good()
    last.touch()
    info = fleet.ended(name)
    assert (info.succeeded, info.duplicates) == (4, 0)
    with fleet.ledger() as ledger:
        registry = WorkerRegistry(ledger.client, ledger.settings)
        until(lambda: not registry.waiting(queue), what="the plain message to be taken")
    assert {result.attempts for result in fleet.results(name)} == {1}


def test_what_a_rate_limit_of_celery_holds_does_not_start_in_a_drained_worker(fleet, name):
    note, target = fleet.path / name, worker(fleet, "io")["name"]

    def lines():
        return len(note.read_text().splitlines()) if note.exists() else 0

    code = f"import naps; [naps.trickle.delay({str(note)!r}) for _ in range(3)]"
    assert fleet.process([sys.executable, "-c", code]).code == 0
    until(lambda: lines() == 1, what="the first one")
    fleet.run("drain", target, "--max-wait", "20s").good()
    # Their time would come after 3 s and 6 s.
    fleet.run("submit", "doze", "0", "--name", name).good()
    assert fleet.run("watch", name, "--max-wait", "7s").code == 124
    assert lines() == 1
    fleet.run("undrain", target).good()
    until(lambda: lines() == 3, what="the others")
    fleet.ended(name)


def test_a_chunk_of_a_drained_worker_ends_at_its_next_item(fleet, name):
    fleet.run("submit", "nap", *["0.1"] * 200, "--name", name).good()
    until(lambda: fleet.info(name).succeeded > 15, what="chunks of several items")
    fleet.run("drain", worker(fleet, "cpu")["host"], "--max-wait", "20s").good()
    info = fleet.info(name)
    assert info.left > 0
    assert fleet.busy("cpu") == 0
    assert fleet.run("watch", name, "--max-wait", "3s").code == 124
    assert fleet.info(name) == info, "it stands still"
    fleet.run("undrain", worker(fleet, "cpu")["name"]).good()
    info = fleet.ended(name)
    assert (info.succeeded, info.duplicates) == (200, 0)


@pytest.mark.parametrize(("queue", "task"), [("cpu", "stay"), ("io", "linger")])
def test_a_pool_changes_its_size_while_all_of_it_is_busy(fleet, name, queue, task):
    first, last = fleet.path / f"{name}-1", fleet.path / f"{name}-2"
    fleet.run("submit", task, *[str(first)] * 3, *[str(last)] * 7, "--name", name).good()
    until(lambda: fleet.busy(queue) == 3, what="busy slots")
    resize(fleet, queue, 1)
    until(lambda: worker(fleet, queue)["slots"] == 1, what="one slot")
    assert fleet.busy(queue) == 3, "it ends no item"
    first.touch()
    until(lambda: fleet.info(name).succeeded == 3 and fleet.busy(queue) == 1, what="one busy slot")
    resize(fleet, queue, 6)
    until(lambda: fleet.busy(queue) == 6, what="six busy slots")
    last.touch()
    info = fleet.ended(name)
    assert (info.succeeded, info.duplicates) == (10, 0)
    results = fleet.results(name)
    assert {result.attempts for result in results} == {1}
    assert len({result.value for result in results[4:]}) >= 5, "no two at once have one number"


@pytest.mark.slow
def test_a_pool_shrinks_and_grows_under_load_and_nothing_is_lost(fleet, name):
    """Processes go while chunks and lots of plain messages are on their way to them."""
    note, items, burst, changes = fleet.path / name, 3_000, 150, (1, 5, 2, 6, 0, 3, 1, 6)
    resize(fleet, "cpu", 6)
    fleet.run("submit", "nap", "--from", "-", "--name", name, stdin="0.02\n" * items).good()

    def signed():
        return sorted(map(int, note.read_text().split())) if note.exists() else []

    for place, slots in enumerate(changes):
        numbers = range(burst * place, burst * (place + 1))
        code = f"import naps; [naps.sign.delay({str(note)!r}, number) for number in {numbers}]"
        assert fleet.process([sys.executable, "-c", code]).code == 0
        resize(fleet, "cpu", slots)
        until(lambda slots=slots: worker(fleet, "cpu")["slots"] == slots, what=f"{slots} slots")
        before = fleet.info(name).done
        if slots:
            until(lambda before=before: fleet.info(name).done > before, what=f"items of {slots} slots")
    assert fleet.info(name).left > 0, "the last change came too late to tell anything"
    info = fleet.ended(name)
    assert (info.submitted, info.succeeded, info.duplicates) == (items, items, 0)
    assert [result.index for result in fleet.results(name)] == list(range(items))
    until(lambda: len(signed()) >= burst * len(changes), what="the plain messages")
    assert signed() == list(range(burst * len(changes)))


def test_what_a_killed_worker_drained_runs_elsewhere(fleet, name):
    gate = fleet.path / name
    fleet.run("submit", "stay", *[str(gate)] * 3, "--name", name).good()
    until(lambda: fleet.busy("cpu") == 3, what="busy slots")
    row = worker(fleet, "cpu")
    with fleet.start("drain", row["name"]) as drain:
        until(lambda: worker(fleet, "cpu")["draining"], what="a worker that drains")
        os.kill(row["pid"], signal.SIGKILL)
        gate.touch()
        assert drain.end().code == 0
    # `up` starts another one, which is not drained.
    info = fleet.ended(name)
    assert (info.submitted, info.succeeded, info.left) == (3, 3, 0)
    until(lambda: row["id"] not in {other["id"] for other in workers(fleet)}, what="another worker")


def test_a_worker_that_connects_anew_is_still_drained(fleet, name):
    target = worker(fleet, "io")["name"]
    fleet.run("drain", target, "--max-wait", "20s").good()
    with fleet.ledger() as ledger:
        ledger.client.client_kill_filter(_type="normal", skipme=True)
    said = fleet.run("submit", "doze", "0", "0", "--name", name).good().err
    assert f"`gristmill undrain {target}`" in said
    assert fleet.run("watch", name, "--max-wait", "4s").code == 124
    assert worker(fleet, "io")["draining"]
    fleet.run("undrain", target).good()
    assert fleet.ended(name).succeeded == 2


def test_what_is_no_worker(fleet):
    for command in ("drain", "undrain"):
        fleet.run(command, "cpu@nowhere").refused("invalid value for WORKER: 'cpu@nowhere'", "cpu@")


@pytest.mark.slow
def test_autoscale_gives_slots_and_takes_them_and_outlives_its_death(fleet, name):
    options = ("autoscale", "--target", "20s", "--idle", "3s", "--cpu-slots", "0..2", "--io-slots", "0..8")
    with fleet.start(*options) as first:
        until(lambda: worker(fleet, "io")["slots"] == 0, what="no slots")
        with fleet.start(*options) as second:
            fleet.run("submit", "doze", *["1"] * 60, "--name", name).good()
            until(lambda: worker(fleet, "io")["slots"] > 0, what="slots")
            assert f"(pid {first.pid})" in acting(fleet)
            first.process.kill()
            until(lambda: f"(pid {second.pid})" in acting(fleet), what="the other one")
            info = fleet.ended(name)
            assert (info.succeeded, info.duplicates) == (60, 0)
            assert 1 < len({result.value for result in fleet.results(name)}) <= 8, "as many threads as slots"
            until(lambda: {row["slots"] for row in workers(fleet)} == {0}, what="no slots")
            assert second.end(signal.SIGTERM).code == 0


def test_autoscale_calls_a_command_until_it_succeeds(fleet):
    calls = fleet.path / "calls"
    script = fleet.file(
        "scale.py",
        f"""
import pathlib, sys
calls = pathlib.Path({str(calls)!r})
with calls.open("a") as file:
    print(*sys.argv[1:], file=file)
sys.exit(len(calls.read_text().splitlines()) < 2)
""",
    )
    bounds = ("--cpu-slots", "2", "--io-slots", "4..9", "--idle", "1s")
    with fleet.start("autoscale", *bounds, "--exec", f"{sys.executable} {script} n={{cpu}} {{io}} $HOME") as running:
        until(lambda: calls.exists() and calls.read_text().splitlines() == ["n=2 4 $HOME"] * 2, what="the second call")
        assert running.end(signal.SIGTERM).code == 0


def test_autoscale_with_a_wrong_option(fleet):
    cases = (
        (("--cpu-slots", "8..2"), "invalid value for --cpu-slots: '8..2'"),
        (("--io-slots", "many"), "invalid value for --io-slots: 'many'"),
        (("--target", "1s"), "invalid value for --target"),
        (("--exec", "scale --to 8"), "invalid value for --exec: 'scale --to 8'"),
        (("--exec", "scale '{cpu}"), "invalid value for --exec"),
    )
    fleet.refused([(("autoscale", *option), words) for option, words in cases])


def test_autoscale_with_nothing_to_scale(place):
    with place.server_only():
        place.run("autoscale").refused("nothing to scale")


def test_a_worker_that_is_to_stop_is_not_started_again(pools, name):
    pools.run("submit", "nap", "3", "--name", name).good()
    until(lambda: pools.busy("cpu") == 1, what="a busy slot")
    target = worker(pools, "cpu")["name"]
    assert f"{target} has ended" in pools.run("drain", target, "--stop").good().err
    assert pools.info(name).succeeded == 1
    until(lambda: [row["queue"] for row in workers(pools)] == ["io"], what="the end of the cpu worker")
    assert json.loads(pools.run("batches", "--json").good().out.splitlines()[-1])["left"] == 0
