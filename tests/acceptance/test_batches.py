"""A producer in one directory, `gristmill up` in another: batches from their items to their results."""

import csv
import hashlib
import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.command import GRISTMILL

STDLIB = Path(os.__file__).parent

#: What a plain Celery program does with shipped tasks.
CELERY = """
import json
from celery import chain, chord, group
from gristmill.tasks.fibonacci import fibonacci
from gristmill.tasks.pause import pause

found = {
    "delay": fibonacci.delay(30).get(timeout=60),
    "group": group(fibonacci.s(n) for n in range(10))().get(timeout=60),
    "chain": chain(fibonacci.s(7), fibonacci.s())().get(timeout=60),
    "chord": chord([fibonacci.s(5), pause.s(0)])(fibonacci.si(12)).get(timeout=60),
    "both kinds": group(pause.s(0.1), fibonacci.s(20, method="doubling"))().get(timeout=60),
}
print(json.dumps(found))
"""

#: What a program does with the Python API.
API = """
import json, sys
from gristmill import Batch, State, batches, open_batch, submit

name = sys.argv[1]
batch = submit("fibonacci", [10, 11, {"n": 300, "method": "doubling"}], name=name)
info = batch.wait(max_wait=60)
assert info.state is State.SUCCEEDED, info
again = submit("fibonacci", [10, 11, {"n": 300, "method": "doubling"}], name=name)
assert again.info().submitted == 3
assert name in [info.name for info in batches()]
values = [result.value for result in open_batch(name).results(in_order=True, max_wait=60)]
counted = submit("pause", (0 for _ in range(2500))).wait(max_wait=60)
print(json.dumps({"values": values, "counted": counted.succeeded}))
"""


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@pytest.fixture
def mixed(fleet, name):
    """The name of a batch with a failed item between two that succeeded."""
    assert fleet.run("submit", "odd", 'a,"b"', "raise", "é", "--name", name, "--follow", "--quiet").code == 1
    return name


class TestFirstBatch:
    def test_thirty_numbers(self, fleet, name):
        items = fleet.file("thirty.txt", "".join(f"{n}\n" for n in range(1, 31)))
        with (
            Path(items).open("rb") as stdin,
            fleet.start("submit", "fibonacci", "--from", "-", "--name", name, "--follow", stdin=stdin) as running,
        ):
            done = running.end().good()
        assert sorted(row["index"] for row in done.rows) == list(range(30))
        rows = fleet.run("results", name, "--in-order").good().rows
        assert [(row["index"], row["input"], row["value"]) for row in rows] == [
            (i, i + 1, fibonacci(i + 1)) for i in range(30)
        ]
        fields = "index input state value error attempts seconds worker pid log"
        assert {" ".join(row) for row in rows} == {fields}
        assert {(row["state"], row["error"], row["attempts"]) for row in rows} == {("succeeded", None, 1)}
        pids = {row["pid"] for row in rows}
        assert not pids & {running.pid, os.getpid(), fleet.owner.pid, fleet.worker("cpu").pid}
        assert all(row["worker"].startswith("cpu@") for row in rows)

    def test_several_processes_share_the_work(self, fleet, name):
        done = fleet.run("submit", "fibonacci", *["25"] * 24, "--name", name, "--follow").good()
        pids = {row["pid"] for row in done.rows}
        assert len(pids) == 2
        assert pids == {child.pid for child in fleet.worker("cpu").children()}

    def test_the_last_batch_is_the_default(self, fleet, name):
        fleet.run("submit", "fibonacci", "9", "--name", name, "--follow").good()
        assert fleet.run("results").good().rows[0]["value"] == 34
        assert name in fleet.run("watch").good().err


class TestRun:
    def test_it_joins_the_fleet(self, fleet, name):
        done = fleet.run("run", "fibonacci", "20", "--name", name).good()
        assert done.rows[0]["pid"] in {child.pid for child in fleet.worker("cpu").children()}
        assert fleet.info(name).succeeded == 1

    def test_digests_of_a_folder(self, fleet, name):
        folder = fleet.root / "stdlib"
        shutil.copytree(STDLIB, folder, ignore=lambda _, names: [one for one in names if not one.endswith(".py")])
        shell = '"$0" run digest --from <(find stdlib -type f) --name "$1"'
        done = fleet.process(["bash", "-c", f"cd {fleet.root} && {shell}", GRISTMILL, name]).good()
        found = {row["input"]: row["value"]["sha256"] for row in done.rows}
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert len(files) > 100
        wanted = {str(path.relative_to(fleet.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
        assert found == wanted
        assert len(done.rows) == len(files)


class TestProgrammes:
    def test_plain_celery(self, fleet):
        done = fleet.process([sys.executable, "-P", "-c", CELERY]).good()
        assert done.err == ""
        assert json.loads(done.out) == {
            "delay": 832040,
            "group": [0, 1, 1, 2, 3, 5, 8, 13, 21, 34],
            "chain": 233,
            "chord": 144,
            "both kinds": [0.1, 6765],
        }

    def test_the_python_api(self, fleet, name):
        done = fleet.process([sys.executable, "-P", "-c", API, name]).good()
        assert done.err == ""
        assert json.loads(done.out) == {"values": [55, 89, fibonacci(300)], "counted": 2500}


class TestResults:
    def test_only_the_failed(self, fleet, mixed):
        done = fleet.run("results", mixed, "--failed")
        assert done.code == 1
        (row,) = done.rows
        assert (row["index"], row["input"], row["state"], row["value"]) == (1, "raise", "failed", None)
        assert set(row["error"]) == {"type", "message", "traceback"}

    def test_csv(self, fleet, mixed):
        done = fleet.run("results", mixed, "--format", "csv")
        assert done.code == 1
        rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
        assert [row["index"] for row in rows] == ["0", "1", "2"]
        assert [row["value"] for row in rows] == ['a,"b"', "", "é"]
        assert [row["state"] for row in rows] == ["succeeded", "failed", "succeeded"]
        assert json.loads(rows[1]["error"])["type"] == "LookupError"

    def test_a_file_appears_when_it_is_whole(self, fleet, mixed, tmp_path):
        path = tmp_path / "results.jsonl"
        done = fleet.run("results", mixed, "--output", str(path))
        assert (done.code, done.out) == (1, "")
        assert [json.loads(line)["index"] for line in path.read_text().splitlines()] == [0, 1, 2]
        assert list(tmp_path.iterdir()) == [path]

    def test_a_file_that_is_there_stays_when_it_goes_wrong(self, fleet, name, tmp_path):
        path = tmp_path / "results.jsonl"
        path.write_text("before\n")
        fleet.run("submit", "pause", "0", "40", "--name", name).good()
        until(lambda: fleet.info(name).succeeded)
        done = fleet.run("results", name, "--follow", "--output", str(path), "--max-wait", "5")
        assert (done.code, path.read_text()) == (124, "before\n")
        assert len(list(tmp_path.glob(".results.jsonl.*.part"))) == 1, "the same command goes on with it"
        absent = str(tmp_path / "no" / "file")
        fleet.run("results", name, "--output", absent).refused(repr(absent))
        # The outcome of a thread that goes on does not count then.
        fleet.run("cancel", name, "--item", "1").good()


class TestJson:
    def test_batches(self, fleet, mixed):
        (row,) = [row for row in fleet.run("batches", "--json").good().rows if row["name"] == mixed]
        counters = "submitted succeeded failed cancelled dead left duplicates rejected"
        assert (
            " ".join(row)
            == f"name task queue state {counters} submitted_by created finished reason abandoned_at logs_lost "
            "retries time_limit max_running rate limit_by halt held_by scheduled_at schedule labels "
            "after from_batch superseded notify notice"
        )
        assert (row["task"], row["state"], row["submitted"], row["failed"]) == ("odd", "failed", 3, 1)

    def test_watch(self, fleet, mixed):
        done = fleet.run("watch", mixed, "--json")
        assert (done.code, done.err) == (1, "")
        assert done.rows[-1]["succeeded"] == 2

    def test_workers_and_tasks(self, fleet):
        rows = {row["queue"]: row for row in fleet.run("workers", "--json").good().rows}
        assert {queue: (row["pool"], row["slots"]) for queue, row in rows.items()} == {
            "cpu": ("prefork", 2),
            "io": ("threads", 16),
        }
        assert {"fibonacci", "digest", "odd"} <= set(rows["cpu"]["tasks"])
        tasks = {row["task"]: row for row in fleet.run("tasks", "--json").good().rows}
        assert (tasks["fibonacci"]["kind"], tasks["oddly"]["kind"], tasks["pair"]["kind"]) == ("cpu", "cpu", "io")
        assert "n: an integer from 0 to 5,000,000" in tasks["fibonacci"]["parameters"]

    def test_doctor(self, fleet):
        done = fleet.run("doctor", "--json")
        assert {row["check"] for row in done.rows} >= {
            "server",
            "persistence",
            "eviction",
            "memory",
            "clock",
            "queue cpu",
        }
        advice = [row for row in done.rows if row["advice"] != "OK"]
        assert (done.code, advice, done.err) == (0, [], "")
        assert "appendfsync always" in next(row["state"] for row in done.rows if row["check"] == "persistence")

    @pytest.mark.parametrize("command", ["batches", "workers", "tasks", "doctor"])
    def test_tables_have_no_colour_in_a_pipe(self, fleet, command):
        done = fleet.run(command).good()
        assert done.out.splitlines()
        assert "\x1b" not in done.out + done.err
