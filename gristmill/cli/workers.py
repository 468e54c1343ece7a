"""`gristmill workers`."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from rich.console import Group
from rich.live import Live

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import as_they_come, cells, note, print_json, show
from gristmill.cli.terminal import stdout, table_of
from gristmill.config.figures import duration
from gristmill.config.settings import settings
from gristmill.fleet.overview import Observer, Overview
from gristmill.fleet.queue_now import QueueNow
from gristmill.producer.worker_checks import live_workers
from gristmill.server.connection import client, reaching

_COLUMNS = ["name", "host", "queue", "pool", "slots", "busy", "items", "rate", "state"]
_NUMBERS = "slots busy items rate"
_QUEUE_COLUMNS = ["queue", "items/s", "failed/s", "left", "oldest", "drained in", "wait p95", "run p95", "busy"]
#: Seconds between two looks.
_EVERY = 1.0


@new_command("workers")
@click.option("--watch", is_flag=True, help="Show queues and workers live, until Ctrl-C.")
@options.as_json
@options.quiet
def command(watch: bool, as_json: bool) -> None:
    """List the live workers: pool, slots, busy slots, items recorded, items per second, and whether each drains.

    --json prints the tasks of each worker too, with the fingerprints of their code, and the load of its machine.
    --watch shows the queues too, as the dashboard does; with --json it prints a line each second.

    \b
    Examples:
      gristmill workers
      gristmill workers --watch
      gristmill workers --json | jq .tasks
    """
    with reaching():
        if watch:
            _watch(as_json)
            return
        rows = [asdict(worker) for worker in live_workers()]
    if not rows and not as_json:
        note("no workers: start some with `gristmill up`")
        return
    rows = [{**row, "state": _state(row["draining"])} for row in rows] if not as_json else rows
    show(_COLUMNS, rows, as_json=as_json, right=_NUMBERS)


def _watch(as_json: bool) -> None:
    # A person ends this with Ctrl-C.
    try:
        if as_json or not stdout.is_terminal:
            for overview in as_they_come(_looks()):
                print_json(_fields(overview)) if as_json else stdout.print(_view(overview))
            return
        with Live(console=stdout, auto_refresh=False) as live:
            for overview in _looks():
                live.update(_view(overview), refresh=True)
    except KeyboardInterrupt:
        return


def _looks() -> Iterator[Overview]:
    observer = Observer(client(), settings())
    while True:
        started_at = time.monotonic()
        yield observer.look()
        time.sleep(max(0.0, started_at + _EVERY - time.monotonic()))


def _fields(overview: Overview) -> dict[str, Any]:
    queues = [{**asdict(queue), "drain": queue.drain} for queue in overview.queues]
    return {"at": overview.at, "queues": queues, "workers": [asdict(worker) for worker in overview.workers]}


def _view(overview: Overview) -> Group:
    numbers = " ".join(column.replace(" ", "_") for column in _QUEUE_COLUMNS[1:])
    queues = table_of(_QUEUE_COLUMNS, [_queue(queue) for queue in overview.queues], right=numbers)
    workers = [cells(_COLUMNS, asdict(worker) | {"state": _state(worker.draining)}) for worker in overview.workers]
    return Group(queues, "", table_of(_COLUMNS, workers, right=_NUMBERS) if workers else "no workers: `gristmill up`")


def _state(draining: bool) -> str:
    return "draining" if draining else ""


def _queue(queue: QueueNow) -> list[str]:
    drain = "" if not queue.left else duration(queue.drain) if queue.drain is not None else "no rate yet"
    return [
        queue.name,
        f"{queue.rate:,.1f}",
        f"{queue.failing:,.1f}",
        f"{queue.left:,}",
        duration(queue.oldest) if queue.left else "",
        drain,
        _time(queue.wait[1]),
        _time(queue.run[1]),
        f"{queue.busy} of {queue.slots}",
    ]


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3g} s" if seconds < 60 else duration(seconds)
