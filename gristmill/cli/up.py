"""`gristmill up`."""

import signal
import time

import click

from gristmill.cli import options
from gristmill.cli.console import note, warn
from gristmill.config import settings
from gristmill.local.fleet import LocalFleet
from gristmill.server.connection import reaching
from gristmill.tasks import catalog
from gristmill.tasks.kinds import Kind

PARTS = (*(str(kind) for kind in Kind), "flower")
#: Seconds between two looks at whether all processes live.
WATCH_SECONDS = 0.5


@click.command("up")
@click.argument("parts", nargs=-1, type=click.Choice(PARTS), metavar="[cpu] [io] [flower]")
@click.option("--cpu", "cpu_slots", type=click.IntRange(1, 1024), help="Processes of the cpu worker.")
@click.option("--io", "io_slots", type=click.IntRange(1, 4096), help="Threads of the io worker.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the dashboard.")
@options.quiet
def command(parts: tuple[str, ...], cpu_slots: int | None, io_slots: int | None, port: int | None) -> int:
    """Run the fleet on this host until Ctrl-C: server, cpu worker, io worker and dashboard, or those named.

    Ctrl-C lets running items finish (GRISTMILL_DRAIN_SECONDS); a second one hands them back at once.

    \b
    Examples:
      gristmill up
      gristmill up --cpu 4 --io 200
      gristmill up io
      GRISTMILL_REDIS_URL=redis://:secret@10.0.0.5 gristmill up cpu io
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    chosen = parts or PARTS
    asked = {Kind.CPU: cpu_slots or 0, Kind.IO: io_slots or 0}
    slots = {kind: asked[kind] for kind in Kind if kind in chosen}
    catalog.load()
    dashboard = (settings().dashboard_port if port is None else port) if "flower" in chosen else None
    fleet = LocalFleet("gristmill up", slots, port=dashboard, say=warn)
    try:
        with reaching(), fleet:
            fleet.wait_ready()
            _say_ready(fleet, slots, port)
            while True:
                time.sleep(WATCH_SECONDS)
                fleet.watch()
    except KeyboardInterrupt:
        note("stopped; what was not finished goes on with the next `gristmill up`")
    return 0


def _say_ready(fleet: LocalFleet, slots: dict[Kind, int], port: int | None) -> None:
    note(f"up: {' and '.join(f'{kind} worker' for kind in slots) or 'no worker'}, data root {settings().data_root}")
    if fleet.dashboard:
        if port and not fleet.dashboard.endswith(f":{port}"):
            warn(f"port {port} is taken")
        note(f"dashboard: {fleet.dashboard}")
    note("submit from another terminal: gristmill submit fibonacci 30 35 40 --follow")
    note("Ctrl-C ends it")
