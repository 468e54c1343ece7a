"""`gristmill up`."""

import signal
import time

import click

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.values import Integer, OneOf
from gristmill.config import settings
from gristmill.local.fleet import LocalFleet
from gristmill.local.reload import Reload
from gristmill.server.connection import reaching
from gristmill.tasks import catalog
from gristmill.tasks.kinds import Kind

PARTS = (*(str(kind) for kind in Kind), "flower")
#: Seconds between two looks at whether all processes live.
WATCH_SECONDS = 0.5


@new_command("up")
@click.argument("parts", nargs=-1, type=OneOf(PARTS), metavar="[cpu] [io] [flower]")
@click.option("--cpu-slots", type=Integer(1, 1024), metavar="N", help="Processes of the cpu worker.")
@click.option("--io-slots", type=Integer(1, 4096), metavar="N", help="Threads of the io worker.")
@click.option("--port", type=Integer(0, 65535), metavar="N", help="Port of the dashboard; 0 takes any free port.")
@click.option("--reload", is_flag=True, help="Restart workers between items when the code of your tasks changes.")
@options.quiet
def command(parts: tuple[str, ...], cpu_slots: int | None, io_slots: int | None, port: int | None, reload: bool) -> int:
    """Run the fleet on this host until Ctrl-C: server, cpu worker, io worker and dashboard, or the parts you name.

    Ctrl-C lets running items finish (GRISTMILL_DRAIN_SECONDS); a second Ctrl-C puts them back on the queue at once.

    \b
    Examples:
      gristmill up
      gristmill up --cpu-slots 4 --io-slots 200
      gristmill up io --reload
      GRISTMILL_REDIS_URL=redis://:secret@10.0.0.5 gristmill up cpu io
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = parts or PARTS
    _check_parts(parts, {"cpu": ("--cpu-slots", cpu_slots), "io": ("--io-slots", io_slots), "flower": ("--port", port)})
    numbers = {Kind.CPU: cpu_slots or 0, Kind.IO: io_slots or 0}
    slots = {kind: numbers[kind] for kind in Kind if kind in parts}
    catalog.load()
    sources = Reload(warn) if reload else None
    dashboard = (settings().dashboard_port if port is None else port) if "flower" in parts else None
    fleet = LocalFleet("gristmill up", slots, port=dashboard, say=warn)
    try:
        with reaching(), fleet:
            fleet.wait_ready()
            _say_ready(fleet, slots, port)
            while True:
                time.sleep(WATCH_SECONDS)
                fleet.watch()
                if sources and (files := sources.changed_files()):
                    note(f"{', '.join(files)} changed: workers finish their items and start again")
                    fleet.restart_workers()
    except KeyboardInterrupt:
        note("stopped; unfinished batches go on with the next `gristmill up`")
    return 0


def _check_parts(parts: tuple[str, ...], values: dict[str, tuple[str, int | None]]) -> None:
    """Refuse an option of a part that does not start."""
    for part, (option, value) in values.items():
        if value is not None and part not in parts:
            raise click.UsageError(f"{option} is for {part}, which is not among {', '.join(parts)}")


def _say_ready(fleet: LocalFleet, slots: dict[Kind, int], port: int | None) -> None:
    note(f"up: {' and '.join(f'{kind} worker' for kind in slots) or 'no worker'}, data root {settings().data_root}")
    if fleet.dashboard:
        if port and not fleet.dashboard.endswith(f":{port}"):
            warn(f"port {port} is taken")
        note(f"dashboard: {fleet.dashboard}")
    note("submit from another terminal: gristmill submit fibonacci 30 35 40 --follow")
    note("Ctrl-C ends it")
