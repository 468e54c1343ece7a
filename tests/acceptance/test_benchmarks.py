"""The benchmarks run: ours, with real workers, at tiny sizes. Peers need the package index, so they are not tested."""

import json
import random
import subprocess
import sys

import pytest

from benchmarks.ab.__main__ import QUICK
from benchmarks.ab.checkout import checkout
from benchmarks.ab.round import SIDES, play
from benchmarks.ab.visit import FIGURES
from benchmarks.stages import STAGES
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow


def printed(name, *arguments):
    """What a benchmark prints, in a process of its own: it sets variables, and loads its tasks."""
    command = [sys.executable, "-m", f"benchmarks.{name}", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("row", ["batches", "plain messages, threads"])
def test_our_rows_have_every_figure(row, tmp_path):
    file = tmp_path / "found.json"
    arguments = ["--peer", row, "--workload", "noop", "--workload", "wait", "--quick", "--rounds", "1"]
    out = printed("peers", *arguments, "--json", file)
    found = json.loads(file.read_text())
    # Rows of ours that need another server, which this host may lack.
    assert [name for name, why in found["failures"].items() if not why.startswith("needs a redis-server")] == []
    ((name, rounds),) = [of for of in found["rounds"].items() if "800" not in of[0]]
    (noops,), (waits,) = rounds["noop"].values(), rounds["wait"].values()
    singles = {"p50", "p99"} if "plain" in row else set()
    assert set(noops) == {"enqueue", "finish", "through", "cpu", "idle", "slot", "memory"} | singles
    assert all(noops[figure] > 0 for figure in set(noops) - {"idle"})
    # 64 slots can do 640 waits of 100 ms a second, and no more.
    assert 0 < waits["through"] <= 640
    assert f"| {name} | " in out
    assert "not measured" in out


def test_growth_loses_nothing_while_a_worker_dies(tmp_path):
    file = tmp_path / "growth.json"
    sizes = ("--sizes", "300", "3000", "--workers", "1", "--items", "500")
    out = printed("growth", *sizes, "--kills", "1", "--json", file)
    found = json.loads(file.read_text())
    assert [(each["items"], each["workers"], each["kills"], each["lost"]) for each in found] == [
        (300, 2, 0, 0),
        (3000, 2, 0, 0),
        (3000, 2, 1, 0),
        (500, 1, 0, 0),
    ]
    assert all(each["producer"] > 20 and each["follower"] > 20 for each in found)
    assert "| lost of 3,000 items with 1 workers killed | 0 | 0 | yes |" in out


def test_a_batch_is_larger_than_its_server_and_what_dies_midway_goes_on(tmp_path):
    file = tmp_path / "found.json"
    printed("small_server", "--items", "200_000", "1_000_000", "--memory", "16M", "--json", file)
    small, large = json.loads(file.read_text())
    for each in (small, large):
        assert (each["kills"], each["lost"]) == (4, 0)
        assert each["longest"] > 0
    assert large["left"] <= 1, "bytes that the server keeps of an item that is done and consumed"
    assert large["server"] <= 20, "MB: the producer waits"
    for role in ("producer", "follower"):
        assert 20 < large[role] <= small[role] + 8, "its memory is flat"


def test_a_pause_is_measured_for_computing_and_for_memory():
    out = printed("cold", "--rounds", "1")
    assert [line.split(" | ")[1] for line in out.splitlines() if line.startswith(("| 30,000", "| 20,000"))] == [
        *("0", "0.02", "0.2", "1") * 2
    ]


def test_a_round_of_make_ab_has_every_figure():
    one = play(dict.fromkeys(SIDES, checkout(".")), QUICK, random.Random(1))
    for side in (one.old, one.new):
        assert set(side) == {figure.name for figure in FIGURES}
        assert all(each > 0 for each in side.values())
        # A worker of one process slot has threads beside its main one: for heartbeats, at least.
        assert side["a worker: threads of its main process"] >= 2
        assert side["a slot: memory of its own (USS)"] < side["a slot: memory with its share (PSS)"]
    assert one.ratios["a worker: connections"] == 1


def test_the_benchmark_of_scale_has_every_figure(tmp_path):
    file = tmp_path / "scale.json"
    sizes = ("--sizes", "2", "4", "--batches", "2", "--workers", "4", "--rack", "1")
    out = printed("scale", *sizes, "--seconds", "3", "--json", file)
    small, large, fleet = json.loads(file.read_text())
    assert [(each["batches"], each["items"], each["errors"]) for each in (small, large)] == [(2, 40, 0), (4, 40, 0)]
    assert all(each["item"] > 0 and each["quiet"] > 0 for each in (small, large))
    assert all(float(each[name].split()[0]) > 0 for each in (small, large) for name in ("script", "quiet_script"))
    # All slots hold a chunk: 4 workers of 8, and the one that measures takes between.
    assert 32 <= fleet["busy"] <= 33
    assert min(fleet["takes"]) > 0
    assert min(fleet["records"]) > 0
    assert all(fleet["pages"].values())
    # Those of a rack of one worker that died hold nothing any more.
    assert fleet["handed_on"] == fleet["rack_messages"] == 8
    assert "| 4 | 40 |" in out
    assert "| 4 × 8 |" in out
    assert "A worker that joins takes" in out


def test_programs_are_measured_beside_xargs_and_run_once_each_from_a_pipe():
    out = printed("programs", "rate", "--items", 20, "--rounds", 1, "--tools", "xargs", "run beside up")
    assert "| `run beside up`: seconds, to xargs | ≤ 1.25× | " in out
    assert "| unresolved |" in out
    counts = [line for line in printed("programs", "pipe", "--items", 600).splitlines() if "memory" not in line]
    assert len([line for line in counts if line.endswith("| yes |")]) == 4


def test_each_stage_of_a_batch_is_measured():
    lines = map(str.split, printed("stages", "--items", 2000).splitlines())
    rows = {stage: figures for stage, *figures in lines if stage in STAGES}
    assert [*rows] == [*STAGES]
    assert all(int(calls) >= 1 and float(mine) > 0 for calls, mine, _ in rows.values())
