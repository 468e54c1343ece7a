"""Batches under control, with real workers: cancelled, killed, paused, halted, retried, put first."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.command import Place
from tests.support.terminal import on_terminal

#: Seconds within which nothing more may be handed out.
PROMPT = 2.0
#: Seconds that a window's chunks take: 2 a slot, of half a second each; and some, for a loaded machine.
WINDOW_SECONDS = 5.0
#: Slots for items that wait.
SLOTS = 16

TASKS = '''
"""Tasks that an operator has to deal with."""

import time
from pathlib import Path

from gristmill.tasks.kinds import cpu, io


@cpu
def stuck(seconds: float, note: str):
    """Say that it runs, and go on for long, whatever it is told."""
    with Path(note).open("a") as file:
        file.write("begun\\n")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.05)
        except BaseException:
            pass
    with Path(note).open("a") as file:
        file.write("finished\\n")


@io
def wait_for(n: int, gate: str):
    """Wait until the file `gate` is there."""
    while not Path(gate).exists():
        time.sleep(0.02)
    return n


@io(retries=1, retry_on=(ConnectionError,))
def mendable(n: int, cause: str):
    """Fail while the file `cause` is there."""
    if Path(cause).exists() and n % 3 == 0:
        raise ConnectionError("not mended yet")
    return n
'''


@pytest.fixture(scope="module")
def mill(tmp_path_factory):
    """A place with a running fleet, which knows the tasks above."""
    path = tmp_path_factory.mktemp("mill")
    place = Place(path, {"operated": TASKS}, GRISTMILL_RETRY_SECONDS="0.05")
    try:
        # What is killed is told of in its log.
        with place.up("cpu", "io", "--cpu-slots", "2", "--io-slots", str(SLOTS), in_peace=False):
            yield place
    finally:
        place.deserted()


@pytest.fixture
def gate(mill, name):
    """A file that is not there: what waits for it runs until it is, one item a slot."""
    gate = mill.path / f"gate-{name}"
    with mill.ledger() as ledger:
        # Where the time of an item was learnt, a slot may get several at once.
        ledger.client.delete(ledger.settings.key("learnt"))
    yield gate
    gate.touch()


def adds_up(info):
    assert info.submitted == info.succeeded + info.failed + info.cancelled + info.dead + info.left, info
    return info


class TestCancel:
    @pytest.mark.slow
    def test_of_a_hundred_thousand_items_within_two_seconds(self, mill, name):
        items = mill.file(f"{name}.txt", "0.01\n" * 100_000)
        mill.run("submit", "pause", "--from", items, "--name", name, "--quiet").good()
        until(lambda: mill.info(name).done > 100, what="a beginning")
        done = mill.run("cancel", name).good()
        info = adds_up(mill.ended(name, PROMPT))
        assert (info.state, info.submitted, info.left) == ("cancelled", 100_000, 0)
        assert info.cancelled > 50_000
        assert f"batch {name}: " in done.err
        assert "of 100,000 items cancelled" in done.err
        assert mill.run("watch", name).code == 1
        rows = mill.run("results", name, "--state", "cancelled")
        assert (rows.code, len(rows.rows)) == (1, info.cancelled)
        assert {row["state"] for row in rows.rows} == {"cancelled"}
        before = mill.info(name)
        mill.run("run", "pause", "0").good()
        assert mill.info(name) == before, "what came behind it ran, and nothing of it did"

    def test_what_runs_finishes(self, mill, name, gate):
        items = [str(n) for n in range(40)]
        mill.run("submit", "wait_for", *items, "--set", f"gate={gate}", "--name", name).good()
        until(lambda: mill.busy("io") == SLOTS, what="busy slots")
        done = mill.run("cancel", name).good()
        assert f"{SLOTS} items are in chunks that run" in done.err
        assert (mill.info(name).state, mill.info(name).left) == ("running", SLOTS)
        refused = mill.run("retry", name, "--cancelled").refused("is being cancelled")
        assert repr(name) in refused
        gate.touch()
        info = adds_up(mill.ended(name))
        assert (info.state, info.succeeded, info.cancelled) == ("cancelled", SLOTS, 40 - SLOTS)
        assert info.reason.startswith("by ")

    def test_kill_ends_what_runs_in_processes(self, mill, name):
        note = mill.path / f"note-{name}"
        items = [str(300 + n) for n in range(6)]
        mill.run("submit", "stuck", *items, "--set", f"note={note}", "--name", name).good()
        until(lambda: note.exists() and note.read_text().count("begun") == 2, what="two that run")
        pids = {child.pid for child in mill.worker("cpu").children()}
        done = mill.run("cancel", name, "--kill").good()
        info = adds_up(mill.ended(name, 5))
        assert (info.state, info.cancelled, info.left) == ("cancelled", 6, 0)
        assert "6 of 6 items cancelled" in done.err
        until(lambda: not pids & {child.pid for child in mill.worker("cpu").children()}, what="their end")
        # The slots are free for others, and what was killed does not come back.
        assert len(mill.run("run", "fibonacci", "10", "11", "--max-wait", "60").good().rows) == 2
        assert note.read_text() == "begun\nbegun\n"
        with mill.ledger() as ledger:
            assert list(ledger.client.scan_iter(f"celery-task-meta-{name}*")) == []

    def test_kill_says_that_threads_go_on(self, mill, name, gate):
        mill.run("submit", "wait_for", "1", "2", "3", "--set", f"gate={gate}", "--name", name).good()
        until(lambda: mill.busy("io") == 3, what="busy slots")
        assert "3 items run in threads" in mill.run("cancel", name, "--kill").good().err
        gate.touch()
        assert adds_up(mill.ended(name)).succeeded == 3

    def test_a_producer_that_feeds_stops(self, place, name):
        with place.server_only():
            read, write = os.pipe()
            with place.start("submit", "pause", "--from", "-", "--name", name, stdin=read) as running:
                os.write(write, b"1\n2\n")
                until(lambda: name in place.names() and place.info(name).submitted == 2, what="two items")
                # Its input stays open and silent.
                place.run("cancel", name, "--quiet").good()
                done = running.end(seconds=5)
            os.close(write)
            os.close(read)
            assert (done.code, done.out) == (1, ""), done
            assert f"batch '{name}' was cancelled while its items were submitted (by " in done.complaint
            assert "2 items are stored" in done.complaint
            again = place.run("submit", "pause", "1", "2", "3", "--name", name)
            assert (again.code, again.out) == (1, "")
            assert "was cancelled while its items were submitted" in again.complaint

    @pytest.mark.parametrize("command", [("run",), ("submit", "--follow")], ids=["run", "submit"])
    def test_while_it_is_fed_and_followed(self, mill, name, command):
        first, *options = command
        read, write = os.pipe()
        with mill.start(first, "pause", "--from", "-", "--name", name, *options, stdin=read) as running:
            os.write(write, b"0\n0\n")
            assert sorted(json.loads(running.line())["index"] for _ in range(2)) == [0, 1]
            # Its input stays open and silent.
            mill.run("cancel", name, "--quiet").good()
            done = running.end(seconds=5)
        os.close(write)
        os.close(read)
        assert (done.code, done.out) == (1, ""), done
        assert f"batch '{name}' was cancelled while its items were submitted (by " in done.err
        assert f"batch {name}: cancelled (by " in done.err

    def test_one_that_has_ended_stays_as_it_is(self, mill, name):
        mill.run("run", "fibonacci", "5", "--name", name).good()
        before = mill.info(name)
        assert "had ended before: succeeded" in mill.run("cancel", name).good().err
        assert mill.info(name) == before


class TestPause:
    def test_and_resume(self, mill, name, gate):
        items = mill.file(f"{name}.txt", "".join(f"{n}\n" for n in range(1000)))
        mill.run("submit", "wait_for", "--from", items, "--set", f"gate={gate}", "--name", name, "--quiet").good()
        until(lambda: mill.busy("io") == SLOTS, what="busy slots")
        assert "gristmill resume" in mill.run("pause", name).good().err
        gate.touch()
        until(lambda: mill.busy("io") == 0, what="what runs to finish")
        held = adds_up(mill.info(name))
        assert (held.state, held.succeeded, held.left) == ("paused", SLOTS, 1000 - SLOTS)
        # It takes nobody's place meanwhile.
        mill.run("run", "pause", "0", "0", "--max-wait", "60").good()
        assert mill.info(name) == held
        assert "was paused already" in mill.run("pause", name).good().err
        assert "goes on" in mill.run("resume", name).good().err
        info = mill.ended(name)
        assert (info.succeeded, info.duplicates, info.state) == (1000, 0, "succeeded")
        assert "was not paused" in mill.run("resume", name).good().err
        assert "has ended" in mill.run("pause", name).good().err

    def test_while_it_is_submitted_then_cancelled(self, place, name):
        with place.server_only():
            read, write = os.pipe()
            with place.start("submit", "pause", "--from", "-", "--name", name, stdin=read) as running:
                os.close(read)
                os.write(write, b"1\n")
                until(lambda: name in place.names() and place.info(name).submitted == 1, what="one item")
                place.run("pause", name, "--quiet").good()
                os.write(write, b"2\n")
                os.close(write)
                assert running.end().good().out == f"{name}\n"
            assert (place.info(name).state, place.info(name).left) == ("paused", 2)
            place.run("cancel", name, "--quiet").good()
            assert (place.info(name).state, place.info(name).cancelled) == ("cancelled", 2)


class TestHalt:
    def test_after_so_many_failures(self, mill, name):
        items = mill.file(f"{name}.txt", "0\n" * 5000)
        command = ("submit", "mendable", "--from", items, "--set", f"cause={mill.path}", "--name", name)
        done = mill.run(*command, "--halt", "fail=10", "--follow")
        info = adds_up(mill.ended(name))
        assert done.code == 1
        assert (info.state, info.failed >= 10, info.cancelled > 4000) == ("cancelled", True, True), info
        assert "failed, and --halt is fail=10" in done.err
        assert sorted(row["index"] for row in done.rows) == list(range(info.submitted))
        (row,) = [row for row in mill.run("batches", "--json").good().rows if row["name"] == name]
        assert row["reason"] == info.reason

    def test_after_a_share_of_all(self, mill, name):
        items = mill.file(f"{name}.txt", "0\n" * 30 + "1\n" * 270)
        command = ("run", "mendable", "--from", items, "--set", f"cause={mill.path}", "--quiet")
        assert mill.run(*command, "--name", name, "--halt", "fail=10%").code == 1
        assert mill.info(name).failed == 30
        assert mill.run(*command, "--name", f"{name}-2", "--halt", "fail=10.1%").code == 1
        assert (mill.info(f"{name}-2").state, mill.info(f"{name}-2").failed) == ("failed", 30)


class TestRetry:
    def test_after_the_cause_is_mended(self, mill, name):
        cause = mill.path / f"cause-{name}"
        cause.touch()
        items = mill.file(f"{name}.txt", "".join(f"{n}\n" for n in range(300)))
        command = ("run", "mendable", "--from", items, "--set", f"cause={cause}", "--name", name, "--quiet")
        assert mill.run(*command).code == 1
        first = mill.info(name)
        assert (first.succeeded, first.failed) == (200, 100)
        cause.unlink()
        assert "100 items run again" in mill.run("retry", name).good().err
        info = adds_up(mill.ended(name))
        assert (info.state, info.succeeded, info.failed, info.duplicates) == ("succeeded", 300, 0, 0)
        rows = mill.run("results", name, "--follow").good().rows
        assert sorted(row["index"] for row in rows) == list(range(300)), "the latest outcome of each, once"
        assert {row["attempts"] for row in rows if row["index"] % 3 == 0} == {3}
        assert {row["attempts"] for row in rows if row["index"] % 3} == {1}
        assert "has no failed items" in mill.run("retry", name).good().err
        assert len(mill.run(*command).good().rows) == 300, "a repeated run finds nothing new"

    def test_the_cancelled_ones_too(self, mill, name, gate):
        items = [str(n) for n in range(100)]
        mill.run("submit", "wait_for", *items, "--set", f"gate={gate}", "--name", name, "--quiet").good()
        until(lambda: mill.busy("io") == SLOTS, what="busy slots")
        mill.run("cancel", name, "--quiet").good()
        gate.touch()
        rest = 100 - SLOTS
        assert mill.ended(name).cancelled == rest
        assert f"{rest} are cancelled (--cancelled" in mill.run("retry", name).good().err
        assert f"{rest} items run again" in mill.run("retry", name, "--cancelled").good().err
        info = mill.ended(name)
        assert (info.state, info.succeeded, info.duplicates) == ("succeeded", 100, 0)


class TestOrder:
    def test_a_small_batch_behind_a_huge_one(self, mill, name):
        """It starts when the window before it has run, not the backlog."""
        items = mill.file(f"{name}.txt", "0.05\n" * 20_000)
        mill.run("submit", "pause", "--from", items, "--name", name, "--quiet").good()
        until(lambda: mill.info(name).done > 500, what="chunks of full size")
        try:
            mill.run("run", "pause", "0", "0", "--name", f"{name}-small", "--max-wait", "60").good()
            small = mill.info(f"{name}-small")
            assert small.finished - small.created < WINDOW_SECONDS
            assert mill.info(name).left > 10_000
        finally:
            mill.run("cancel", name, "--quiet").good()
        mill.ended(name)

    def test_priority_is_strict(self, place, name):
        with place.server_only():
            for level in (9, 5, 0):
                command = ("submit", "pause", *["0.01"] * 20, "--name", f"{name}-{level}", "--priority", str(level))
                place.run(*command, "--quiet").good()
        with place.up("io", "--io-slots", "1"):
            ends = [place.ended(f"{name}-{level}").finished for level in (0, 5, 9)]
        assert ends == sorted(ends)


class TestKept:
    def test_until_its_time_is_over(self, mill, name):
        mill.run("run", "fibonacci", "5", "--name", name, "--ttl", "1").good()
        until(lambda: name not in mill.names(), what="its end")
        assert "no batch is called" in mill.run("results", name).complaint
        with mill.ledger() as ledger:
            assert list(ledger.client.scan_iter(f"*gm1:batch:{name}:*")) == []

    def test_deleted_while_it_runs(self, mill, name, gate):
        items = [str(n) for n in range(40)]
        mill.run("submit", "wait_for", *items, "--set", f"gate={gate}", "--name", name).good()
        until(lambda: mill.busy("io") == SLOTS, what="busy slots")
        mill.run("delete", name, "--quiet").good()
        gate.touch()
        until(lambda: mill.busy("io") == 0, what="what runs to finish")
        mill.run("run", "pause", "0", "--quiet").good()
        with mill.ledger() as ledger:
            assert list(ledger.client.scan_iter(f"*{name}*")) == []


#: The commands that end, hold or delete a batch.
CHANGING = ["retry", "cancel", "pause", "resume", "delete"]


@pytest.mark.parametrize("command", CHANGING)
def test_a_script_has_to_name_the_batch(mill, name, command):
    mill.run("run", "fibonacci", "5", "--name", name).good()
    assert f"gristmill {command} --help" in mill.run(command).refused("BATCH")
    assert mill.info(name).succeeded == 1


@pytest.mark.parametrize("command", CHANGING)
def test_a_terminal_takes_the_last_batch_and_prints_its_name(mill, name, command):
    mill.run("run", "fibonacci", "5", "--name", name).good()
    done = on_terminal(mill, command)
    assert done.code == 0, done
    assert f"batch {name}, the last submitted from this host" in done.err
    assert (name in mill.names()) is (command != "delete")


@pytest.mark.slow
@pytest.mark.parametrize("command", CHANGING[:-1])
def test_without_a_server_it_starts_one_for_itself(place, command):
    items = Path(place.file("items", "5\n"))
    place.run("run", "fibonacci", "--from", str(items), "--name", "first", "--quiet").good()
    assert "first" in place.run(command, "first").good().err
    place.run(command, "second").refused("no batch is called 'second'")


@pytest.mark.slow
def test_control_of_an_interrupted_run(place):
    """It goes on with the same command, and `retry` says what gets the items run."""
    items = place.file("items", "0\n" + "2\n" * 200)
    command = ("run", "pause", "--from", items, "--name", "first", "--quiet")
    with place.start(*command) as running:
        running.line()
        assert running.end(signal.SIGINT).code == 130
    place.run("cancel", "first", "--quiet").good()
    cancelled = place.run("batches", "--json").rows[0]["cancelled"]
    assert cancelled > 0
    done = place.run("retry", "first", "--cancelled").good()
    assert f"{cancelled} items run again" in done.err
    assert "gristmill up" in done.err, "nothing can be watched while no fleet runs"
    assert len(place.run(*command).good().rows) == 201
