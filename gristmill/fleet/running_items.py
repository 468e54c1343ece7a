"""The items that run now, as their workers tell once a second; those that have run for a second or more."""

import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from redis import Redis

from gristmill.batches.reader import ResultReader
from gristmill.batches.scripts import BatchScripts
from gristmill.config.figures import moment
from gristmill.config.settings import Settings
from gristmill.fleet.worker_id import node_name
from gristmill.server.replies import by_name

#: Batch, index, attempt and worker.
_Run = tuple[str, int, int, str]
#: Inputs that one look reads, at most: of the slowest items.
INPUTS_MOST = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an item is, as its task says: `done` of `total` (None: unknown), and a note."""

    done: float
    total: float | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.note and not self.done and not self.total:
            return self.note
        text = f"{100 * self.done / self.total:.0f} %" if self.total else f"{self.done:,g}"
        return f"{text}, {self.note}" if self.note else text


@dataclass(frozen=True, slots=True)
class RunningItem:
    """An item that runs now, and has for `seconds` seconds: since `started`, Unix time in seconds.

    `index` counts from 0, `attempt` from 1. `input` is the item; None when nothing is known of it. The item runs on
    `worker` (a node name) in the process `pid`. `progress` is what its task last told, or None.
    """

    batch: str
    index: int
    input: Any
    started: float
    seconds: float
    attempt: int
    progress: Progress | None
    worker: str
    pid: int

    def as_dict(self) -> dict[str, Any]:
        """The documented fields, as `busy --json` prints them."""
        return {**asdict(self), "started": moment(self.started), "seconds": round(self.seconds, 3)}


class RunningItems(BatchScripts):
    """What runs on the workers of one server. Threads may share it."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        super().__init__(client, settings)
        #: The inputs that the last look has read: an item may run for hours.
        self._inputs: dict[_Run, Any] = {}

    def look(
        self, batches: Collection[str] | None = None, *, inputs: bool = True, most: int = INPUTS_MOST
    ) -> list[RunningItem]:
        """The items that run, of these batches or of all, the slowest first.

        With `inputs`, the `most` slowest have their input.
        """
        now, texts = self._call("busy")
        items = [item for worker, text in by_name(texts).items() for item in _items(now, worker, text)]
        rows = [item for item in items if batches is None or item.batch in batches]
        rows.sort(key=lambda item: -item.seconds)
        return self._with_inputs(rows, most) if inputs else rows

    def _with_inputs(self, items: list[RunningItem], most: int) -> list[RunningItem]:
        readers: dict[str, ResultReader] = {}
        before, inputs = self._inputs, {}
        # Neighbours are in one block of stored items.
        for item in sorted(items[:most], key=lambda item: (item.batch, item.index)):
            run = _run_of(item)
            if run in before:
                inputs[run] = before[run]
                continue
            reader = readers.setdefault(item.batch, ResultReader(self.client, self.settings, item.batch))
            text = reader.item(item.index)
            inputs[run] = None if text is None else json.loads(text)
        self._inputs = inputs
        return [replace(item, input=inputs.get(_run_of(item))) for item in items]


def _run_of(item: RunningItem) -> _Run:
    return item.batch, item.index, item.attempt, item.worker


def _items(now: int, worker: str, text: str) -> Iterator[RunningItem]:
    """What a worker (its id) told, as workers.lua has it."""
    at, _, rows = text.partition(" ")
    for row in json.loads(rows):
        progress = row["progress"] and Progress(**row["progress"])
        started = int(at) / 1000 - row["seconds"]
        seconds = now / 1000 - started
        about = {name: row[name] for name in ("batch", "index", "attempt", "pid")}
        yield RunningItem(
            **about, input=None, started=started, seconds=seconds, progress=progress, worker=node_name(worker)
        )
