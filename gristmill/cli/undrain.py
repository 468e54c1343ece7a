"""`gristmill undrain`."""

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note
from gristmill.cli.drain import choose, workers_argument
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import client, reaching


@new_command("undrain")
@workers_argument
@options.quiet
def command(workers: tuple[str, ...]) -> int:
    """Have workers that `drain` or `autoscale` has drained take items again, on the slots they started with.

    \b
    Examples:
      gristmill undrain cpu@host-a
    """
    with reaching():
        registry = WorkerRegistry(client(), settings())
        for worker in choose(registry.workers(), workers):
            registry.undrain(worker.id)
            note(f"{worker.name} takes items again")
    return 0
