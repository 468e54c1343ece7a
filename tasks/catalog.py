"""The catalog: every task this process knows, by name."""

import importlib
import sys
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from gristmill.config.celery import SHIPPED_TASKS
from gristmill.config.settings import settings
from gristmill.errors import InputError, SettingError
from gristmill.tasks.application import app
from gristmill.tasks.kinds import GristmillTask


@cache
def load() -> dict[str, GristmillTask]:
    """Import the tasks that ship and the modules of `GRISTMILL_TASK_MODULES`; returns the tasks by name.

    Raises:
        SettingError: a module cannot be imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        # Last, so that no file of the caller's directory hides one of ours.
        sys.path.append(here)
    for module in SHIPPED_TASKS:
        importlib.import_module(module)
    for module in settings().task_modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise SettingError(f"GRISTMILL_TASK_MODULES: {module!r} cannot be imported: {error!r}") from error
    tasks = {name: task for name, task in app.tasks.items() if isinstance(task, GristmillTask)}
    return dict(sorted(tasks.items()))


def find(name: str) -> GristmillTask:
    """The task called `name`.

    Raises:
        InputError: there is none; the text offers the nearest.
    """
    tasks = load()
    if name in tasks:
        return tasks[name]
    near = get_close_matches(name, tasks, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(tasks)}"
    raise InputError(f"no task is called {name!r}: {hint} (your own go in modules that GRISTMILL_TASK_MODULES names)")
