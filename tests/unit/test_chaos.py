"""The chaos harness counts right: what it calls lost is lost, and a broken promise is its exit code."""

import json
import os
import socket
import sys
import threading
import time

import psutil
import pytest

from benchmarks.chaos import __main__ as command
from benchmarks.chaos import journal as journals
from benchmarks.chaos import stalls
from benchmarks.chaos.count import Count
from benchmarks.chaos.fleet import Worker
from benchmarks.chaos.journal import Journal
from benchmarks.chaos.kill import Kill, recoveries
from benchmarks.chaos.options import Options
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.report import histograms, table, verdict
from benchmarks.chaos.results import ResultFile, merged
from benchmarks.chaos.scenarios import SCENARIOS, broken
from benchmarks.chaos.wire import numbers
from tests.conftest import until


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


def write(journal, *lines):
    with journal.path.open("a") as file:
        file.writelines(lines)
    journal.read()


def test_what_a_process_says_is_read(journal, monkeypatch):
    monkeypatch.setenv(journals.FILE, str(journal.path))
    monkeypatch.setenv(journals.WORKER, "w1")
    assert not journal.read()
    journals.say("begun", 7)
    journals.say("begun", 8)
    journals.say("done", 8)
    assert journal.read()
    assert journal.running("w1") == {7}
    assert journal.done == {8: 1}
    assert not journal.read()


def test_a_line_counts_once_it_is_whole(journal):
    write(journal, "begun 1 w1 5 1.0\nbegun 2 w1 5 1")
    assert set(journal.beginnings) == {1}
    write(journal, ".5\n")
    assert journal.beginnings[2][0].at == 1.5


def test_beginnings_and_ends_beyond_the_first_are_counted(journal):
    write(journal, "begun 1 w1 5 1.0\n", "begun 1 w2 6 2.0\n", "done 1 w2 6 3.0\n", "done 1 w1 5 4.0\n")
    assert (journal.begun_again, journal.done_again) == (1, 1)


def test_a_kill_is_over_when_another_has_begun_the_last_that_was_held(journal):
    kill = Kill(10.0, frozenset({1, 2, 3, 4}), "w1")
    write(journal, "begun 1 w1 5 9.0\n", "begun 2 w1 5 11.0\n", "begun 3 w2 6 12.0\n", "done 4 w1 5 9.0\n")
    assert kill.seconds(journal, {}) == 2.0
    assert kill.open(journal, {2}) == {1}
    write(journal, "begun 1 w2 6 15.0\n")
    assert (kill.seconds(journal, {}), kill.open(journal, {2})) == (5.0, set())


def test_another_process_of_the_same_worker_is_another(journal):
    write(journal, "begun 1 w1 5 11.0\n", "begun 1 w1 6 13.0\n")
    assert Kill(10.0, frozenset({1}), "w1", 5).seconds(journal, {}) == 3.0
    assert Kill(10.0, frozenset({1}), "w1").seconds(journal, {}) is None


def test_what_its_next_holder_took_along_counts_for_that_ones_kill(journal):
    kills = [Kill(10.0, frozenset({1, 2}), "w1"), Kill(30.0, frozenset({1}), "w2")]
    write(journal, "begun 2 w3 7 25.0\n", "begun 1 w3 7 52.0\n")
    assert recoveries(kills, journal) == [15.0, 22.0]


def test_tasks_go_by_their_number():
    message = json.dumps({"body": "W10=", "headers": {"task": "t", "id": "12", "root_id": "13"}}).encode()
    assert numbers([message, message.replace(b'"id": "12"', b'"id":"a-b"')]) == {12}


@pytest.mark.parametrize(
    ("scenario", "found", "said"),
    [
        ("kill", {}, []),
        ("kill", {"lost": 1}, ["1 lost"]),
        ("kill", {"left": 2}, ["2 left"]),
        ("backlog", {"left": 2}, []),
        ("kill", {"dead": 1}, ["1 dead letters instead of 0"]),
        ("poison", {"dead": 0}, ["0 dead letters instead of 1"]),
        ("kill", {"duplicates": 3}, []),
        ("warm", {"duplicates": 3}, ["3 ran twice"]),
        ("backlog", {"not_back": 4}, ["4 not back"]),
        ("kill", {"recoveries": [2.0, 31.0]}, ["not back within 30 s"]),
    ],
)
def test_a_broken_promise_is_named(scenario, found, said):
    assert broken(SCENARIOS[scenario], Count(scenario, "prefork", "ours", 1, **found), Options()) == said


def test_a_run_in_which_stock_loses_nothing_is_too_weak():
    counts = [Count("kill", "prefork", "stock", 1, lost=lost) for lost in (0, 2)]
    assert [verdict(count) for count in counts] == ["weak: stock lost nothing", "2 lost"]
    assert "weak" in table(counts)


def test_the_times_of_all_pieces_are_in_one_histogram():
    pieces = [Count("recovery", "threads", "ours", seed, kills=2, recoveries=[0.65, 0.7 + seed]) for seed in (1, 2)]
    lines = histograms(merged([*pieces, Count("kill", "threads", "ours", 1, recoveries=[3.0])])).splitlines()
    assert lines[1:3] == [
        "recovery, threads, ours",
        "back after: median 0.65 s, p99 2.70 s, worst 2.70 s, of 4 kills",
    ]
    assert [line.split()[:4] for line in lines[3:-1]] == [
        ["<=", "0.70", "s", "2"],
        ["<=", "2.00", "s", "1"],
        ["<=", "5.00", "s", "1"],
    ]


def test_what_is_no_scenario_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["chaos", "nuke"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "'nuke' is not allowed: kill, child" in capsys.readouterr().err


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (1, 1)])
def test_what_ours_lost_is_the_exit_code_and_stock_is_beside_it(lost, code, monkeypatch, capsys):
    def run(name, pool, transport, options):
        assert (name, pool, options.seed) == ("kill", "threads", 4)
        count = Count(name, pool, transport, options.seed, lost=lost if transport == "ours" else 5)
        count.broken = broken(SCENARIOS[name], count, options) if transport == "ours" else []
        return count

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr("sys.argv", ["chaos", "kill", "--pool", "threads", "--seed", "4", "--json"])
    assert command.main() == code
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(count["transport"], count["lost"]) for count in last] == [("ours", lost), ("stock", 5)]


def test_the_proxy_cuts_a_reply_after_so_many_bytes():
    with socket.create_server(("127.0.0.1", 0)) as server, Proxy(server.getsockname()[1]) as proxy:

        def answer():
            for _ in range(2):
                end, _ = server.accept()
                with end:
                    end.sendall(b"0123456789" if end.recv(10) else b"")

        threading.Thread(target=answer, daemon=True).start()
        proxy.cut(13)
        for got, cuts in ((b"0123456789", 0), (b"012", 1)):
            with socket.create_connection(("127.0.0.1", proxy.port)) as client:
                client.sendall(b"ask")
                received = b""
                while len(received) < 10 and (data := client.recv(100)):
                    received += data
            assert (received, proxy.cuts) == (got, cuts)


def test_a_long_run_goes_on_where_its_results_end(tmp_path, monkeypatch, capsys):
    seeds = []

    def run(name, pool, transport, options):
        seeds.append((options.seed, options.kills))
        return Count(name, pool, transport, options.seed, kills=options.kills, recoveries=[options.seed / 10])

    monkeypatch.setattr(command, "run", run)
    words = ["kill", "--pool", "threads", "--transport", "ours", "--kills", "4", "--total", "9"]
    monkeypatch.setattr("sys.argv", ["chaos", *words, "--results", str(tmp_path / "results"), "--json"])
    for _ in range(4):
        assert command.main() == 0
    assert seeds == [(1, 4), (2, 4), (3, 1)]
    [total] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (total["kills"], total["recoveries"]) == (9, [0.1, 0.2, 0.3])


def test_what_one_piece_broke_is_in_the_total(tmp_path, monkeypatch):
    results = ResultFile(tmp_path / "results")
    for lost, unanswered in ((0, 110), (3, 90)):
        count = Count("failover", "threads", "ours", 1, lost=lost, faults={"cut": 2}, unanswered=unanswered)
        count.broken = [f"{lost} lost"] if lost else []
        results.append(count)
    [total] = merged(results.counts())
    assert (total.lost, total.faults, total.unanswered, total.broken) == (3, {"cut": 4}, 90, ["3 lost"])
    monkeypatch.setattr(command, "run", lambda *_: Count("failover", "threads", "ours", 3))
    monkeypatch.setattr("sys.argv", ["chaos", "failover", "--results", str(results.path)])
    assert command.main() == 1


@pytest.mark.parametrize("scenario", ["failover", "everysec"])
def test_failovers_have_their_control_until_it_has_lost_some(scenario, tmp_path, monkeypatch, capsys):
    ran, losses = [], iter([0, 7])

    def run(name, pool, transport, options):
        ran.append((name, options.seed, options.kills))
        lost = next(losses) if name == "unconfirmed" else 0
        return Count(name, pool, transport, options.seed, kills=4, lost=lost)

    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr("sys.argv", ["chaos", scenario, "--results", str(tmp_path / "results"), "--total", "12"])
    assert [command.main() for _ in range(3)] == [1, 0, 0]
    control = SCENARIOS["unconfirmed"].kills
    first = (scenario, 1, 12), ("unconfirmed", 1, control)
    assert ran == [*first, (scenario, 2, 8), ("unconfirmed", 2, control), (scenario, 3, 4)]
    assert "| unconfirmed | threads | ours | 8 | 0 | 7 |" in capsys.readouterr().out


def test_total_without_results_is_refused(monkeypatch):
    monkeypatch.setattr("sys.argv", ["chaos", "kill", "--total", "9"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2


def test_a_worker_that_is_stopped_goes_on_in_time_whatever_the_run_waits_for(tmp_path):
    """Load that took the producer ten seconds to put made stalls of 2.7 s last for longer than a lease of 8 s."""
    worker = Worker("w1", [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, tmp_path / "log")
    process = psutil.Process(worker.pid)
    try:
        stalls.stop(worker, 0.3)
        stopped_at = time.monotonic()
        until(lambda: process.status() == psutil.STATUS_STOPPED, what="the stop")
        until(lambda: process.status() != psutil.STATUS_STOPPED, what="the end of the stop")
        assert 0.2 < time.monotonic() - stopped_at < 5
    finally:
        worker.kill()
