"""`gristmill up`."""

import signal
import time

import click

from gristmill.cli import completing, options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.options.values import Integer
from gristmill.config.names import DASHBOARD, KINDS
from gristmill.config.settings import settings
from gristmill.local.descendants import become_subreaper
from gristmill.local.fleet import LocalFleet
from gristmill.local.reload import Reload
from gristmill.server.connection import reaching
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind
from gristmill.tasks.queue_worker import QueueWorker

PARTS = (*KINDS, DASHBOARD)
#: Seconds between two looks at whether all processes live.
WATCH_SECONDS = 0.5


@new_command("up")
@click.argument("parts", nargs=-1, metavar="[QUEUE[=SLOTS]]... [flower]", shell_complete=completing.parts)
@click.option("--cpu-slots", type=Integer(1, 1024), metavar="N", help="Processes of the cpu worker.")
@click.option("--io-slots", type=Integer(1, 4096), metavar="N", help="Threads of the io worker.")
@click.option("--port", type=Integer(0, 65535), metavar="N", help="Port of the dashboard; 0 takes any free port.")
@click.option("--reload", is_flag=True, help="Restart workers between items when the code of your tasks changes.")
@options.quiet
def command(parts: tuple[str, ...], cpu_slots: int | None, io_slots: int | None, port: int | None, reload: bool) -> int:
    """Run the fleet on this host until Ctrl-C: server, cpu worker, io worker and dashboard, or the parts you name.

    A part is `flower`, the dashboard, or a queue, such as `cpu`, for a worker of that queue; `gpu=4` gives the worker 4
    slots. This host's tasks that name the queue decide between processes and threads; if none does, `mail:io` says it.

    An io worker without a number, here or in GRISTMILL_IO_SLOTS, begins with 64 slots and tunes them: it adds slots
    while that ends more items and this host has memory for them.

    Ctrl-C lets running items finish (GRISTMILL_DRAIN_SECONDS); a second Ctrl-C puts them back on the queue at once.

    \b
    Examples:
      gristmill up
      gristmill up --cpu-slots 4 --io-slots 200
      gristmill up io --reload
      gristmill up cpu gpu=4
      GRISTMILL_REDIS_URL=redis://:secret@10.0.0.5 gristmill up cpu io
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = parts or PARTS
    catalog.load()
    workers = _workers(parts, {"cpu": ("--cpu-slots", cpu_slots), "io": ("--io-slots", io_slots)})
    if port is not None and DASHBOARD not in parts:
        raise click.UsageError(f"--port is for {DASHBOARD}, which is not among {', '.join(parts)}")
    sources = Reload(warn) if reload else None
    dashboard = (settings().dashboard_port if port is None else port) if DASHBOARD in parts else None
    become_subreaper()
    slots = {worker.word: worker.slots for worker in workers}
    fleet = LocalFleet("gristmill up", slots, port=dashboard, say=warn, tuned=_tuned(workers))
    try:
        with reaching(), fleet:
            fleet.wait_ready()
            _say_ready(fleet, workers, port)
            while True:
                time.sleep(WATCH_SECONDS)
                fleet.watch()
                if sources and (files := sources.changed_files()):
                    note(f"{', '.join(files)} changed: workers finish their items and start again")
                    fleet.restart_workers()
    except KeyboardInterrupt:
        note("stopped; unfinished batches go on with the next `gristmill up`")
    return 0


def _workers(parts: tuple[str, ...], options: dict[str, tuple[str, int | None]]) -> list[QueueWorker]:
    """The workers of the parts, with the slots of the options by queue.

    Raises:
        InputError: a part is not valid.
        click.UsageError: two parts have one queue, or an option has none, or one with other slots.
    """
    workers = {}
    for part in parts:
        if part != DASHBOARD:
            worker = QueueWorker.of(part)
            if worker.queue in workers:
                raise click.UsageError(f"{part} starts a second worker of queue {worker.queue}: name a queue once")
            workers[worker.queue] = worker
    for queue, (option, slots) in options.items():
        if slots is not None:
            if queue not in workers:
                raise click.UsageError(f"{option} is for {queue}, which is not among {', '.join(parts)}")
            if workers[queue].slots:
                raise click.UsageError(f"{option} and {queue}={workers[queue].slots} both give slots: give one of them")
            workers[queue] = QueueWorker(queue, workers[queue].kind, slots)
    return list(workers.values())


def _tuned(workers: list[QueueWorker]) -> list[str]:
    """The words of the workers whose slots nobody gave, and whose items may wait."""
    if "io_slots" in settings().model_fields_set:
        return []
    return [worker.word for worker in workers if worker.kind is Kind.IO and not worker.slots]


def _say_ready(fleet: LocalFleet, workers: list[QueueWorker], port: int | None) -> None:
    names = " and ".join(f"{worker.queue} worker" for worker in workers) or "no worker"
    note(f"up: {names}, data root {settings().data_root}")
    if fleet.dashboard:
        if port and not fleet.dashboard.endswith(f":{port}"):
            warn(f"port {port} is taken")
        note(f"dashboard: {fleet.dashboard}")
    note("submit from another terminal: gristmill submit fibonacci 30 35 40 --follow")
    note("Ctrl-C ends it")
