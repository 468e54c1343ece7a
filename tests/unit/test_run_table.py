"""The table of what runs in a worker: what a slot writes, and what the heartbeat reads of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gristmill import item
from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.tasks.kind import Kind
from gristmill.tasks.return_type import ReturnType
from gristmill.tasks.schema import Schema
from gristmill.worker.loop import coroutines
from gristmill.worker.runs.rows import VARIABLE, RunRows
from gristmill.worker.runs.table import NOTE_BYTES, ROW_BYTES, RunTable
from gristmill.worker.slot import item_runner, runner
from gristmill.worker.slot.item_runner import ItemRunner

#: A time of the clock that rows have, an hour ago.
EARLIER = time.perf_counter() - 3600
CHUNK = Chunk("scan", 1, 7, 1)


@pytest.fixture
def table():
    return RunTable.new(4)


@pytest.fixture
def rows(monkeypatch):
    """The rows of a worker, in which this process runs items."""
    rows = RunRows()
    monkeypatch.setenv(VARIABLE, "")
    rows.make(4)
    for module in (runner, item_runner, coroutines):
        monkeypatch.setattr(module, "run_rows", rows)
    return rows


def test_a_row_says_what_runs_since_when_and_where(table):
    row = table.take()
    assert list(table.runs()) == []
    row.begin("scan", 7, 2, EARLIER)
    (run,) = table.runs()
    assert (run.batch, run.index, run.attempt, run.pid, run.progress) == ("scan", 7, 2, os.getpid(), None)
    assert run.seconds == pytest.approx(time.perf_counter() - EARLIER, abs=60)
    row.rest()
    assert list(table.runs()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the file of the table has a name there only")
def test_to_look_at_the_table_costs_no_memory_for_rows_that_nobody_has_had():
    table = RunTable.new(4096)
    table.row(1).begin("scan", 7, 1, EARLIER)
    before = Path(table.path).stat().st_blocks
    assert [run.index for run in table.runs()] == [7]
    assert Path(table.path).stat().st_blocks == before


def test_the_longest_name_of_a_batch_and_the_largest_index_have_room(table):
    table.take().begin("b" * 64, 2**32, 1, EARLIER)
    (run,) = table.runs()
    assert (run.batch, run.index) == ("b" * 64, 2**32)


def test_slots_have_the_first_rows_and_their_numbers_and_coroutines_the_last_ones():
    table = RunTable.new(5, [4, 7])
    assert [table.row(number).slot for number in range(2)] == [4, 7]
    assert [table.take_slot().slot for _ in range(2)] == [4, 7]
    first, second = table.take(), table.take()
    assert [first.slot, second.slot] == [0, 1]
    table.give_back(first)
    assert table.take().slot == 0
    assert RunTable.at(table.path, 5).row(1).slot == 7
    assert table.row(9).slot == 0


def test_what_is_quicker_is_left_out(table):
    table.take().begin("slow", 0, 1, EARLIER)
    table.take().begin("quick", 1, 1, time.perf_counter())
    assert [run.batch for run in table.runs(60)] == ["slow"]
    assert len(list(table.runs())) == 2


def test_progress_is_that_of_the_item_that_runs(table):
    row = table.take()
    row.begin("scan", 7, 1, EARLIER)
    row.report("scan", 7, 3, 10, "ä" * NOTE_BYTES)
    (run,) = table.runs()
    assert (run.progress.done, run.progress.total, run.progress.note) == (3, 10, "ä" * (NOTE_BYTES // 2))
    row.report("scan", 7, 4.5, None, "")
    (run,) = table.runs()
    assert (run.progress.done, run.progress.total, run.progress.note) == (4.5, None, "")
    row.begin("scan", 8, 1, EARLIER)
    row.report("scan", 7, 9, 10, "late")
    row.report("other", 8, 9, 10, "another batch")
    (run,) = table.runs()
    assert (run.index, run.progress) == (8, None)
    row.rest()
    row.report("scan", 8, 9, 10, "late")
    assert list(table.runs()) == []


def test_progress_that_a_child_process_reported_ends_with_its_item(table):
    row, same = table.take(), table.row(3)
    row.begin("scan", 7, 1, EARLIER)
    same.begin("scan", 7, 1, EARLIER)
    same.report("scan", 7, 1, 2, "in quarantine")
    assert [run.progress.note for run in table.runs()] == ["in quarantine"]
    row.rest()
    row.begin("scan", 8, 1, EARLIER)
    assert [(run.index, run.progress) for run in table.runs()] == [(8, None)]


def test_the_row_of_a_process_that_was_killed_is_left_out(table):
    child = os.fork()
    if not child:
        table.row(2).begin("scan", 1, 1, EARLIER)
        os._exit(0)
    # A zombie counts as alive.
    while not list(table.runs()):
        time.sleep(0.001)
    os.waitpid(child, 0)
    assert list(table.runs()) == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="only forked processes share the table here")
def test_a_process_that_is_not_forked_finds_the_table(rows):
    code = (
        "from billiard.process import current_process; current_process().index = 3\n"
        "from gristmill.worker.runs.rows import run_rows\n"
        f"run_rows.own().begin('scan', 5, 1, {EARLIER}); print(flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (run,) = rows.table.runs()
        assert (run.batch, run.index, run.pid) == ("scan", 5, process.pid)
        process.communicate(b"\n")


def test_more_items_than_rows_run_all_the_same(table):
    taken = [table.take() for _ in range(6)]
    for index, row in enumerate(taken):
        row.begin("scan", index, 1, EARLIER)
    assert sorted(run.index for run in table.runs()) == [0, 1, 2, 3]
    for row in taken:
        table.give_back(row)
    assert [table.take().number for _ in range(5)] == [0, 1, 2, 3, -1]
    assert len(table.memory) == 4 * (ROW_BYTES + 4 + 1) + 1, "with the slot of each, whether it was had, and a flag"


def test_the_runner_writes_its_row(rows):
    seen = []

    class Task:
        kind, retry_on, capture = Kind.CPU, (), True
        schema, return_type = Schema.of(lambda n: n), ReturnType()

        @staticmethod
        def run(n):
            item.progress(2, 4)
            seen.extend(rows.table.runs())

    ItemRunner(Work(CHUNK, "t", {}, "n", 0, 1.0, []), Task(), "cpu@a")(Item(7, 1, 3))
    assert [(run.batch, run.index, run.attempt) for run in seen] == [("scan", 7, 3)]
    assert seen[0].progress.done == 2
    runner._patiently(lambda: None)
    assert list(rows.table.runs()) == []


def test_each_coroutine_has_a_row(rows):
    seen = []

    class Task:
        kind, retry_on, capture = Kind.IO, (), True
        schema, return_type = Schema.of(lambda n: n), ReturnType()

        @staticmethod
        async def run(n):
            item.progress(2, 4)
            seen.extend(rows.table.runs())

    work = Work(CHUNK, "t", {}, "n", 0, 1.0, [])
    coroutines.run_in_own_loop(work, Task(), "io@a", 0, Item(7, 1, 1))
    assert [(run.batch, run.index, run.progress.total) for run in seen] == [("scan", 7, 4)]
    assert list(rows.table.runs()) == []
    assert [rows.take().number, rows.own().number] == [3, 0], "the row is free again, and slots have the first ones"
