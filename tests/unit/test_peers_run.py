"""The run of the comparison with peers: who plays when, what fails, and what a killed run goes on with."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import goals, limits, rows, run, schedule
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.goals import BATCHES, STOCK
from benchmarks.peers.limits import Ceiling
from benchmarks.peers.rounds import Size

THREADS, HUEY = "Gristmill, plain messages, threads", "huey, processes"


@pytest.fixture
def played(monkeypatch):
    """The rows that were played, with workload; each visit gives figures and takes 100 s."""
    played, clock = [], SimpleNamespace(now=0.0)

    def measured(row, workload, _size):
        played.append((row.name, workload))
        clock.now += 100
        return {"finish": 1.0, "through": 1.0}

    monkeypatch.setattr(run, "measured", measured)
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(Ceiling, "ready", lambda _: None)
    return played


def pools(*names):
    return [limit for limit in limits.LIMITS if limit.name in names]


def test_no_round_begins_that_would_end_too_late(played, capsys):
    # A round of all takes 100 s here, and a later one, with three turns, 300 s.
    rows = pools("multiprocessing.Pool", "multiprocessing.Pool, chunks")
    run.PeerRun(Comparison(), Size(), None).play(rows, ["cpu"], 7, minutes=12)
    assert played == [("multiprocessing.Pool", "cpu")] * (2 + 3)
    assert "no time for one more, which would take 300 s" in capsys.readouterr().err


def test_packed_items_are_compared_with_packed_messages_only():
    comparison, packed, messages = Comparison(), f"{BATCHES}, 800 in an item", f"{HUEY}, 800 in a message"
    for name, rate in ((BATCHES, 400.0), (packed, 4_000.0), (HUEY, 10.0), (messages, 2_000.0)):
        comparison.add(name, "noop", 0, {"finish": rate, "through": rate})
    of = {goal.key: (goal.values.rows(comparison), list(goal.values(comparison))) for goal in goals.GOALS}
    assert of["batch"] == ((BATCHES, HUEY), [40.0])
    assert of["by_hand"] == ((BATCHES, messages), [0.2])
    assert of["packed"] == ((packed, messages), [2.0])


def test_later_rounds_are_of_rows_that_may_decide_a_goal():
    comparison = Comparison()
    comparison.add(THREADS, "noop", 0, {"finish": 6_000.0, "enqueue": 6_000.0, "p50": 2.0})
    comparison.add(STOCK, "noop", 0, {"finish": 500.0, "p50": 4.0})
    comparison.add(HUEY, "noop", 0, {"finish": 3_000.0, "enqueue": 1_500.0, "p50": 1.0})
    comparison.add("dramatiq", "noop", 0, {"finish": 2_900.0})
    comparison.add("rq", "noop", 0, {"finish": 100.0, "enqueue": 1_600.0})
    comparison.add("saq", "noop", 0, {"finish": 100.0, "enqueue": 200.0, "p50": 5.0})
    first, later = (schedule.visits(rows.ROWS, ["noop", "wait"], number, comparison) for number in (0, 4))
    assert {visit.row.name for visit in first} == {row.name for row in rows.ROWS}
    assert len(first) == sum(row.has(name) for row in rows.ROWS for name in ("noop", "wait"))
    again = {visit.row.name for visit in later if visit.workload == "noop"}
    # huey is the fastest, rq is put nearly as fast, and stock Celery has a goal of its own.
    assert {HUEY, STOCK, THREADS, BATCHES, "rq"} <= again
    assert not {"saq", "Dask", "the server, one by one"} & again
    waits = [(visit.row.name, visit.turn) for visit in later if visit.workload == "wait"]
    assert waits == [
        (goals.THREADS, 0),
        (BATCHES, 0),
        (BATCHES, 1),
        (goals.THREADS, 1),
        (goals.THREADS, 2),
        (BATCHES, 2),
    ]


def test_what_fails_is_noted_and_left_out_after_the_second_time(played, monkeypatch):
    comparison = Comparison()

    def measured(row, workload, _size):
        played.append(row.name)
        raise ValueError("it is broken")

    monkeypatch.setattr(run, "measured", measured)
    run.PeerRun(comparison, Size(), None).play(pools(goals.POOL), ["noop"], 7, minutes=60)
    assert played == [goals.POOL] * 2
    assert comparison.failures == {goals.POOL: "it is broken"}


def test_a_row_that_cannot_be_installed_is_left_out_before_the_time_begins(played, monkeypatch, tmp_path):
    def ready(row):
        if row.name == goals.POOL:
            raise subprocess.CalledProcessError(1, [str(tmp_path / "pip"), "install"])

    monkeypatch.setattr(Ceiling, "ready", ready)
    comparison = Comparison()
    run.PeerRun(comparison, Size(), None).play(pools(goals.POOL, goals.THREADS), ["noop"], 1, minutes=60)
    assert played == [(goals.THREADS, "noop")]
    assert comparison.failures == {goals.POOL: "`pip` ended with code 1"}


def test_a_run_that_was_killed_goes_on_where_its_file_ends(played, tmp_path):
    file = tmp_path / "figures.json"
    run.PeerRun(Comparison(), Size(), file).play(pools(goals.THREADS), ["wait"], 4, minutes=60)
    assert len(played) == 2 + 3 + 3
    assert sorted(json.loads(file.read_text())["rounds"][goals.THREADS]["wait"]) == [
        "0",
        "1",
        "2",
        "2.1",
        "2.2",
        "3",
        "3.1",
        "3.2",
    ]
    run.PeerRun(command.comparison_in(file, Size()), Size(), file).play(pools(goals.THREADS), ["wait"], 5, minutes=60)
    assert len(played) == 2 + 3 + 3 + 3
    assert command.comparison_in(file, Size()).rounds == 5


def test_a_file_of_other_rounds_is_refused(tmp_path, capsys):
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"size": {"share": 1.0}, "rounds": {}}))
    with pytest.raises(SystemExit):
        command.main(["--json", str(file), "--quick", "--peer", "huey"])
    assert str(file) in capsys.readouterr().err
