"""The table of what runs in a worker: memory that its processes share, with a row for each item that can run at once.

A slot writes its row when an item starts, without a call to anybody; the worker's heartbeat reads the rows.
"""

import math
import mmap
import os
import re
import struct
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gristmill.fleet.running_items import Progress

#: The longest note in bytes.
NOTE_BYTES = 200

#: When the item started (of `time.perf_counter()`, 0: none runs), its index, its attempt, whether it told its progress.
_RUN = struct.Struct("=dddd")
_STARTED = struct.Struct("=d")
_STARTED_AT, _INDEX, _ATTEMPT, _IS_TOLD = range(4)
#: How much is done, of how much (NaN: not told), the length of the note in bytes.
_PROGRESS = struct.Struct(f"=ddI{NOTE_BYTES}s")
#: The process, the time limit of its items in seconds (0: none), and the batch.
_PLACE = struct.Struct("=Id64s")
_PROGRESS_AT = _RUN.size
_PLACE_AT = _PROGRESS_AT + _PROGRESS.size
ROW_BYTES = _PLACE_AT + _PLACE.size
#: Behind all rows: the number of the slot of each; then a byte for each, 1 once somebody has had it.
_SLOT = struct.Struct("=I")
_HAD = re.compile(b"\1")


@dataclass(frozen=True, slots=True)
class ItemRun:
    """An item that runs: it has run for `seconds` seconds, in the process `pid`; `limit` is its limit, 0 for none."""

    batch: str
    index: int
    attempt: int
    seconds: float
    pid: int
    progress: Progress | None
    limit: float = 0.0


class RunRow:
    """A row of the table; one item at a time writes it."""

    def __init__(self, memory: Any, number: int, slot: int = 0) -> None:
        self._memory, self._at, self.number = memory, number * ROW_BYTES, number
        #: The number of the slot, which the items that run here learn.
        self.slot = slot
        #: The time limit of the items that begin here, in seconds; 0 for none.
        self.limit = 0.0
        self._values = memoryview(memory)[self._at : self._at + _RUN.size].cast("d")
        self._batch, self._attempt, self._is_told = "", 0, True

    def begin(self, batch: str, index: int, attempt: int, started_at: float) -> None:
        """An item starts, at `started_at` of `time.perf_counter()`. Writes what differs from the item before."""
        if batch != self._batch:
            self.rest()
            _PLACE.pack_into(self._memory, self._at + _PLACE_AT, os.getpid(), self.limit, batch.encode())
            self._batch = batch
        values = self._values
        values[_STARTED_AT] = started_at
        values[_INDEX] = index
        if attempt != self._attempt:
            values[_ATTEMPT] = self._attempt = attempt
        if self._is_told:
            values[_IS_TOLD] = self._is_told = False

    def rest(self) -> None:
        """No item runs until the next one begins."""
        self._values[_STARTED_AT] = 0.0
        # Another process may have written the row meanwhile, for the same item: the next one writes everything.
        self._batch, self._attempt, self._is_told = "", 0, True

    def report(self, batch: str, index: int, done: float, total: float | None, note: str) -> None:
        """Note how far an item of a batch is, if it still runs here."""
        if (batch, index) != (self._batch, self._values[_INDEX]) or not self._values[_STARTED_AT]:
            return
        text = note.encode(errors="replace")[:NOTE_BYTES]
        whole = math.nan if total is None else total
        _PROGRESS.pack_into(self._memory, self._at + _PROGRESS_AT, done, whole, len(text), text)
        self._values[_IS_TOLD] = self._is_told = True

    def run(self, least: float, now: float) -> ItemRun | None:
        """What has run here for `least` seconds or more at `now`; None if nothing has."""
        started_at = self._values[_STARTED_AT]
        if not started_at or now - started_at < least:
            return None
        row = bytes(self._memory[self._at : self._at + ROW_BYTES])
        if self._values[_STARTED_AT] != started_at:
            # The next item has begun meanwhile.
            return None
        _, index, attempt, is_told = _RUN.unpack_from(row)
        pid, limit, batch = _PLACE.unpack_from(row, _PLACE_AT)
        progress = None
        if is_told:
            done, total, length, note = _PROGRESS.unpack_from(row, _PROGRESS_AT)
            text = note[:length].decode(errors="ignore")
            progress = Progress(_number(done), None if math.isnan(total) else _number(total), text)
        name = batch.rstrip(b"\0").decode()
        return ItemRun(name, int(index), int(attempt), now - started_at, pid, progress, limit)


class RunTable:
    """The table of one worker, `rows` rows in `memory`; another process finds it at `path`.

    Slots have the first rows, and coroutines the last ones.
    """

    def __init__(self, memory: Any, rows: int, path: str) -> None:
        self.memory, self.rows, self.path = memory, rows, path
        self._had_at = rows * (ROW_BYTES + _SLOT.size)
        self._free = deque(range(rows))
        #: Rows that coroutines have had: to make one costs more than all else of it.
        self._rows: dict[int, RunRow] = {}

    @classmethod
    def new(cls, rows: int, slots: Sequence[int] = ()) -> "RunTable":
        """A new table, which ends with the last of the processes that use it; `slots` are the numbers of its slots.

        The other rows are numbered on their own, from 0, beginning with the last one.
        """
        if hasattr(os, "memfd_create"):
            file = os.memfd_create("gristmill-runs")
            path = f"/proc/{os.getpid()}/fd/{file}"
        else:
            # Only forked processes share it.
            file, path = tempfile.mkstemp(prefix="gristmill-runs-")
            Path(path).unlink()
        table = cls(_memory(file, rows, create=True), rows, path)
        for row in range(rows):
            table.number(row, slots[row] if row < len(slots) else rows - 1 - row)
        return table

    @classmethod
    def at(cls, path: str, rows: int) -> "RunTable":
        """The table that another process has made.

        Raises:
            OSError, ValueError: there is none.
        """
        with Path(path).open("r+b") as file:
            return cls(_memory(file.fileno(), rows), rows, path)

    def row(self, number: int) -> RunRow:
        """The row `number`, from 0; one that nobody reads when the table has no such row."""
        if not 0 <= number < self.rows:
            return scratch_row()
        self.memory[self._had_at + number] = 1
        (slot,) = _SLOT.unpack_from(self.memory, self.rows * ROW_BYTES + number * _SLOT.size)
        return RunRow(self.memory, number, slot)

    def number(self, row: int, slot: int) -> None:
        """Have a row be that of the slot with a number."""
        _SLOT.pack_into(self.memory, self.rows * ROW_BYTES + row * _SLOT.size, slot)

    @property
    def is_stopped(self) -> bool:
        """Whether chunks that run are to end at their next item."""
        return bool(self.memory[-1])

    @is_stopped.setter
    def is_stopped(self, is_stopped: bool) -> None:
        self.memory[-1] = int(is_stopped)

    def take_slot(self) -> RunRow:
        """The first row that is free, which nobody gives back; for the process that made the table."""
        with suppress(IndexError):
            return self.row(self._free.popleft())
        return scratch_row()

    def take(self) -> RunRow:
        """The last row that is free, until `give_back`; for the process that made the table."""
        try:
            number = self._free.pop()
        except IndexError:
            return scratch_row()
        if number not in self._rows:
            self._rows[number] = self.row(number)
        return self._rows[number]

    def give_back(self, row: RunRow) -> None:
        """A row that `take` gave is free again."""
        row.rest()
        if row.number >= 0:
            self._free.append(row.number)

    def runs(self, least: float = 0.0) -> Iterator[ItemRun]:
        """What has run for `least` seconds or more."""
        now = time.perf_counter()
        # To read a row is to have its page: those that nobody has had are left alone.
        had = self.memory[self._had_at : self._had_at + self.rows]
        for number in (match.start() for match in _HAD.finditer(had)):
            (started_at,) = _STARTED.unpack_from(self.memory, number * ROW_BYTES)
            run = RunRow(self.memory, number).run(least, now) if started_at and now - started_at >= least else None
            if run and _lives(run.pid):
                yield run


def _memory(file: int, rows: int, *, create: bool = False) -> mmap.mmap:
    # The last byte says whether chunks are to end.
    size = rows * (ROW_BYTES + _SLOT.size + 1) + 1
    if create:
        os.ftruncate(file, size)
    return mmap.mmap(file, size)


def scratch_row() -> RunRow:
    """A row that nobody reads."""
    row = RunRow(bytearray(ROW_BYTES), 0)
    row.number = -1
    return row


def _number(value: float) -> float:
    """The number as its task wrote it: 3 and not 3.0."""
    return int(value) if value.is_integer() else value


def _lives(pid: int) -> bool:
    """Whether there is such a process: one that was killed leaves its row as it was."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
