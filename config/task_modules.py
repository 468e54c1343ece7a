"""The modules whose tasks this process knows, and what names each of them."""

from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple

from gristmill.config import environment
from gristmill.config.settings import Settings

#: Modules with the tasks that ship, one file each.
SHIPPED_TASKS = (
    "gristmill.tasks.fibonacci",
    "gristmill.tasks.fetch.task",
    "gristmill.tasks.digest",
    "gristmill.tasks.pause",
    "gristmill.tasks.announce",
)
#: The task that runs programs, where the settings allow them: elsewhere no worker knows it.
PROGRAMS = "gristmill.tasks.program.task"
GROUP = "gristmill.tasks"


class TaskModule(NamedTuple):
    """A module with tasks; `source` is what names it: `shipped`, a setting, a file or an entry point."""

    name: str
    source: str


def task_modules(settings: Settings) -> list[TaskModule]:
    """The modules that ship, those of the setting or of the project, and those of installed distributions."""
    source = environment.source_of("task_modules") if settings.task_modules else ""
    shipped = (*SHIPPED_TASKS, PROGRAMS) if settings.runs_programs else SHIPPED_TASKS
    modules = [TaskModule(name, "shipped") for name in shipped]
    modules += [TaskModule(name, source) for name in settings.task_modules]
    names = {module.name for module in modules}
    return modules + [module for module in _installed() if module.name not in names]


@cache
def _installed() -> list[TaskModule]:
    modules: dict[str, TaskModule] = {}
    for point in entry_points(group=GROUP):
        distribution = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
        modules.setdefault(point.module, TaskModule(point.module, f"entry point {point.name!r}{distribution}"))
    return list(modules.values())
