"""Which row of the worker's table an item has: its process's, its thread's, or one of its own for a coroutine."""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from billiard.process import current_process
from celery.bootsteps import Step
from celery.concurrency import get_implementation
from celery.signals import worker_shutdown

from gristmill.config.settings import settings
from gristmill.worker.pool.slot_numbers import slot_numbers
from gristmill.worker.runs.table import RunRow, RunTable, scratch_row

#: Where a process that is not forked finds the table, and the number of rows. No setting: a leading underscore.
VARIABLE = "_GRISTMILL_RUN_TABLE"
#: Seconds that an item has run for before others are told of it; the number of items that a worker tells of.
LEAST_SECONDS, RUNS_MOST = 1.0, 200
#: Rows of slots, at least: the pool may grow. A row that nobody uses costs no memory.
SLOT_ROWS = {"prefork": 1024, "threads": 4096}


class _Own(threading.local):
    row: RunRow | None = None


class RunRows:
    """The rows of this process."""

    def __init__(self) -> None:
        self.table: RunTable | None = None
        self._maker = self._numbered = 0
        self._own = _Own()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._own = _Own()

    def make(self, rows: int, slots: Sequence[int] = ()) -> None:
        """Make the table of this worker, for processes that start from now on too; `slots` numbers its slots."""
        self.table, self._maker, self._own = RunTable.new(rows, slots), os.getpid(), _Own()
        self._numbered = len(slots)
        os.environ[VARIABLE] = f"{self.table.path}:{rows}"

    def number(self, slots: int) -> None:
        """Number the slots of this worker up to `slots` of them, as the pool grows."""
        if self.table and self._numbered:
            slots = min(slots, self.table.rows)
            for row, slot in enumerate(slot_numbers.more(slots - self._numbered), self._numbered):
                self.table.number(row, slot)
            self._numbered = max(slots, self._numbered)

    def stop(self, is_stopped: bool) -> None:
        """Have chunks that run end at their next item, in all processes of this worker; or let them run."""
        if self.table:
            self.table.is_stopped = is_stopped

    @property
    def are_shared(self) -> bool:
        """Whether this process has the rows of its worker, and so sees `is_stopped`."""
        return (self.table or self._opened()) is not None

    @property
    def is_stopped(self) -> bool:
        """Whether chunks that run are to end at their next item."""
        table = self.table or self._opened()
        return table is not None and table.is_stopped

    def own(self) -> RunRow:
        """The row of this thread, which keeps it."""
        row = self._own.row
        if row is None:
            row = self._own.row = self._of_process() or self._of_thread()
        return row

    def join(self, number: int) -> None:
        """Have this thread write the row `number`, which another process has taken for the same item."""
        table = self.table or self._opened()
        self._own.row = table.row(number) if table else scratch_row()

    def take(self) -> RunRow:
        """A row for a coroutine, until `give_back`."""
        return self.table.take() if self.table and self._maker == os.getpid() else scratch_row()

    def _of_thread(self) -> RunRow:
        return self.table.take_slot() if self.table and self._maker == os.getpid() else scratch_row()

    def give_back(self, row: RunRow) -> None:
        """The coroutine has ended."""
        if self.table:
            self.table.give_back(row)

    def slowest(self) -> list[dict[str, Any]]:
        """What has run for LEAST_SECONDS or more in this worker, the slowest first, RUNS_MOST at most: for readers."""
        runs = sorted(self.table.runs(LEAST_SECONDS) if self.table else (), key=lambda run: -run.seconds)
        return [{name: each for name, each in asdict(run).items() if name != "limit"} for run in runs[:RUNS_MOST]]

    def _of_process(self) -> RunRow | None:
        """The row of a pool's process, by its number; None in any other process."""
        number = getattr(current_process(), "index", None)
        table = self.table or self._opened()
        return None if number is None or table is None else table.row(number)

    def _opened(self) -> RunTable | None:
        path, _, rows = os.environ.get(VARIABLE, "").rpartition(":")
        with suppress(OSError, ValueError):
            self.table = RunTable.at(path, int(rows))
        return self.table


run_rows = RunRows()


class Runs(Step):
    """Makes the table before the pool starts, so that its processes share it."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: Any) -> None:
        slots = worker.max_concurrency or worker.concurrency
        threads = issubclass(worker.pool_cls, get_implementation("threads"))
        rows = max(slots, SLOT_ROWS["threads" if threads else "prefork"])
        if threads:
            rows += settings().async_slots
        queues = sorted(worker.app.amqp.queues.consume_from)
        run_rows.make(rows, slot_numbers.take(queues[0] if queues else "", slots))
        worker_shutdown.connect(lambda **_: slot_numbers.release(), weak=False)
