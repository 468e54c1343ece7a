"""`gristmill tasks`."""

from typing import Any

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import print_json, warn, write
from gristmill.config.figures import printable
from gristmill.errors import ServerError
from gristmill.producer.worker_checks import live_workers
from gristmill.tasks import catalog
from gristmill.tasks.schema import Schema


@new_command("tasks")
@options.as_json
@options.quiet
def command(as_json: bool) -> None:
    """List the tasks that this host knows: kind, queue, parameters, help, origin, and the workers that know each.

    \b
    Examples:
      gristmill tasks
      GRISTMILL_TASK_MODULES=photos gristmill tasks --json
    """
    try:
        workers = live_workers()
    except ServerError:
        workers = []
    rows = [
        {
            "task": task.name,
            "kind": str(task.kind),
            "queue": task.queue_name,
            "parameters": _parameters(task.schema),
            "help": task.summary,
            "source": catalog.catalog().sources[task.name],
            "workers": ", ".join(worker.name for worker in workers if task.name in worker.tasks),
        }
        for task in catalog.load().values()
    ]
    for module in catalog.catalog().empty_modules:
        warn(catalog.no_task_in(module))
    if as_json:
        for row in rows:
            print_json({**row, "parameters": ", ".join(row["parameters"])})
        return
    width = max(len(row["task"]) for row in rows)
    for row in rows:
        _print(row, width)
        if workers:
            write(printable(f"    on {row['workers'] or 'no worker'}"))


def _print(row: dict[str, Any], width: int) -> None:
    """A line for the task, and one for each parameter: short lines on a terminal as in a pipe."""
    write(printable(f"{row['task']:<{width}}  {row['kind']:<3}  {row['help']}").rstrip())
    for parameter in row["parameters"]:
        write(printable(f"    {parameter}"))
    if row["queue"] != row["kind"]:
        write(printable(f"    queue {row['queue']}"))
    if row["source"] != "shipped":
        write(printable(f"    from {row['source']}"))


def _parameters(schema: Schema) -> list[str]:
    return [f"{p.name}: {p.allowed}" + ("" if p.required else f" = {p.default!r}") for p in schema.parameters.values()]
