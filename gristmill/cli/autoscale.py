"""`gristmill autoscale`."""

import signal
import time

import click
from redis.exceptions import RedisError

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note, warn
from gristmill.cli.options.values import Duration, Range
from gristmill.config.host import cores
from gristmill.config.settings import settings
from gristmill.errors import GristmillError, InputError
from gristmill.fleet.autoscaling import Aim
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local.autoscaler import Autoscaler
from gristmill.local.compose import compose_here
from gristmill.local.reach import OwnPools, Reach, SizingCommand
from gristmill.server.connection import client, reaching
from gristmill.server.home import Home
from gristmill.tasks.kind import Kind
from gristmill.tasks.queue_worker import SLOTS_MOST

#: Seconds between two looks.
LOOK_SECONDS = 2.0


@new_command("autoscale")
@click.option(
    "--target",
    type=Duration(10),
    metavar="DURATION",
    default="10m",
    show_default=True,
    help="How long each batch may take.",
)
@click.option(
    "--cpu-slots", type=Range(SLOTS_MOST[Kind.CPU]), metavar="N..M", help="Slots of queue cpu; default: 0..cores."
)
@click.option(
    "--io-slots",
    type=Range(SLOTS_MOST[Kind.IO]),
    metavar="N..M",
    default="0..256",
    show_default=True,
    help="Slots of queue io.",
)
@click.option(
    "--idle",
    type=Duration(1),
    metavar="DURATION",
    default="5m",
    show_default=True,
    help="How long slots have no item before they go, down to the least of their queue.",
)
@click.option(
    "--exec",
    "command_text",
    metavar="'CMD {cpu} {io}'",
    help="Run CMD, with the slots for {cpu} and {io}, when they change.",
)
@options.quiet
def command(
    target: float, cpu_slots: tuple[int, int] | None, io_slots: tuple[int, int], idle: float, command_text: str | None
) -> int:
    """Give cpu and io enough slots to finish each batch within --target, until Ctrl-C; print each change and why.

    It changes the pools of this host's `gristmill up` while they run. Without one it starts and removes worker
    containers of the Compose project in the current directory; what it removes drains first. --exec calls a command of
    yours instead, without a shell. One autoscale acts on a server, and others stand by.

    \b
    Examples:
      gristmill autoscale --target 10m --cpu-slots 0..8
      gristmill autoscale --cpu-slots 0..40 --exec 'resize-group {cpu}'
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reach = _reach(command_text)
    bounds = {"cpu": cpu_slots or (0, cores()), "io": io_slots}
    with reaching():
        scaler = Autoscaler(client(), settings(), reach, bounds, Aim(target, idle), note)
    note(f"autoscale of {reach.name}; Ctrl-C ends it, and the slots stay as they are")
    away = False
    try:
        while True:
            try:
                with reaching():
                    scaler.step()
                away = False
            except (RedisError, GristmillError) as error:
                if not away:
                    warn(f"nothing changes until the server is back: {error}")
                away = True
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        if not away:
            with reaching():
                scaler.leave()
        return 0


def _reach(command_text: str | None) -> Reach:
    """What is there to grow and shrink.

    Raises:
        InputError: nothing is.
    """
    if command_text is not None:
        return SizingCommand(command_text)
    home = Home(settings().home)
    registry = WorkerRegistry(client(), settings())
    holder = home.holder()
    if holder and holder.kind == "gristmill up":
        return OwnPools(home, registry)
    if services := compose_here(registry):
        return services
    raise InputError(
        f"nothing to scale: no `gristmill up` runs in {home.path}, and the current directory has no Compose project "
        "with services cpu and io. Start one, or give --exec"
    )
