"""Tasks with large values, and a data root that hosts share."""

import os
from datetime import date
from pathlib import Path
from typing import Any

from gristmill.batches.value_file import VALUES
from gristmill.config.settings import settings
from gristmill.tasks.kinds import cpu, io
from gristmill.worker.slot.runner import Runner
from tests.support.ledger import FIELDS, WORKER, enlist, pop

#: A value of so many characters is too large for the server.
LARGE = (1 << 20) + 1


@cpu(name="long_text", retries=0)
def long_text(n: int) -> str:
    """So many characters."""
    return "ä" * n


@cpu(name="days", retries=0)
def days(n: int) -> list[date]:
    """A day again and again."""
    return [date(2026, 11, 27)] * n


@cpu(name="look_alike", retries=0)
def look_alike(n: int) -> Any:
    """A value in the form of a reference."""
    name = f"b.{'0' * 32}/{n}-1-{'0' * 16}.json"
    return {"path": name, "bytes": 3, "sha256": "0" * 64, "file": True}


@io(name="long_later", retries=0)
async def long_later(n: int) -> bytes:
    """So many bytes."""
    return b"x" * n


TASKS = {task.name: task for task in (long_text, days, look_alike, long_later)}


def submit(ledger, task, sizes, name="b", **fields):
    """A batch of a task; the sizes are its items."""
    queue = TASKS[task].queue_name
    enlist(ledger, queue)
    fields = {"task": task, "queue": queue, "ttl": 600_000, **fields}
    ledger.create(name, "token", {**FIELDS, **fields, "is_async": 1} if queue == "io" else {**FIELDS, **fields})
    ledger.append(name, "token", 0, [str(size) for size in sizes], "sha")
    ledger.end(name, "token", 0)


def run_next(ledger, queue="cpu"):
    """Run the chunk of the next message; return it."""
    chunk = pop(ledger, queue)
    if chunk:
        Runner(ledger, settings()).run(chunk, WORKER)
    return chunk


def run_all(ledger, queue="cpu"):
    while run_next(ledger, queue):
        pass


def files(root):
    """The files of values and their drafts below a data root, by path."""
    top = root.joinpath(*VALUES)
    # A sweep may delete a folder meanwhile, at which `rglob` fails.
    return sorted(str(Path(folder, name).relative_to(top)) for folder, _, names in os.walk(top) for name in names)
