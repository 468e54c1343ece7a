"""`gristmill tasks`."""

from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import show
from gristmill.errors import ServerError
from gristmill.producer.worker_checks import live_workers
from gristmill.tasks import catalog
from gristmill.tasks.schema import Schema


@new_command("tasks")
@options.as_json
@options.quiet
def command(as_json: bool) -> None:
    """List the tasks that this host knows: kind, parameters, help, and the workers that know each.

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
            "parameters": _parameters(task.schema),
            "help": task.summary,
            "workers": ", ".join(worker.name for worker in workers if task.name in worker.tasks),
        }
        for task in catalog.load().values()
    ]
    show(["task", "kind", "parameters", "help", "workers"], rows, as_json=as_json, fold="parameters help workers")


def _parameters(schema: Schema) -> str:
    return ", ".join(
        f"{p.name}: {p.allowed}" + ("" if p.required else f" = {p.default!r}") for p in schema.parameters.values()
    )
