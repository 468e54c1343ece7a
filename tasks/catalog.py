"""The catalog: every task that this process knows, by name, and where each comes from."""

import importlib
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from gristmill.config.project import current_project
from gristmill.config.settings import settings
from gristmill.config.task_modules import TaskModule, task_modules
from gristmill.errors import InputError, SettingError
from gristmill.tasks.application import app
from gristmill.tasks.fingerprint import is_users_own
from gristmill.tasks.task import GristmillTask


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tasks by name, what names the module of each, and the modules of the user's that have no task."""

    tasks: dict[str, GristmillTask] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    empty_modules: list[TaskModule] = field(default_factory=list)


def load() -> dict[str, GristmillTask]:
    """The tasks by name, after importing the modules of `config.task_modules`.

    Raises:
        SettingError: a module cannot be imported.
    """
    return catalog().tasks


@cache
def catalog() -> Catalog:
    """The catalog of this process.

    Raises:
        SettingError: a module cannot be imported.
    """
    _extend_path()
    sources: dict[str, str] = {}
    empty: list[TaskModule] = []
    for module in task_modules(settings()):
        before = {*app.tasks}
        _import(module)
        names = {*app.tasks} - before or {name for name, task in app.tasks.items() if _is_from(task, module.name)}
        sources |= dict.fromkeys(sorted(names - {*sources}), module.source)
        if not names:
            empty.append(module)
    tasks = {name: task for name, task in sorted(app.tasks.items()) if isinstance(task, GristmillTask)}
    others = {name: f"imported from {task.run.__module__}" for name, task in tasks.items() if name not in sources}
    return Catalog(tasks, sources | others, empty)


def defined(name: str) -> GristmillTask | None:
    """The task called `name`, if this process has it: a program's own task needs no other module.

    Raises:
        SettingError: a module cannot be imported.
    """
    task = app.tasks.get(name)
    return task if isinstance(task, GristmillTask) else load().get(name)


def find(name: str, others: Iterable[str] = ()) -> GristmillTask:
    """The task called `name`; `others` are the names that workers know, for the text of the error.

    Raises:
        InputError: there is none; the text offers the nearest one.
        SettingError: a module cannot be imported.
    """
    tasks = load()
    if name in tasks:
        return tasks[name]
    raise InputError(f"no task is called {name!r}{hint(name, others)}")


def hint(name: str, others: Iterable[str] = ()) -> str:
    """The end of an error about an unknown task: the nearest name, or where to name a task's module."""
    names = sorted({*load(), *others})
    near = get_close_matches(name, names, 1, 0.5)
    empty = "".join(f"; {no_task_in(module)}" for module in catalog().empty_modules)
    if near:
        return f": did you mean {near[0]!r}?" + empty
    own = "name the modules of your own tasks in GRISTMILL_TASK_MODULES, or in [tool.gristmill] of pyproject.toml"
    return f" (the tasks: {', '.join(names)}; {own}){empty}"


def no_task_in(module: TaskModule) -> str:
    """The sentence that a module has no task."""
    return f"module {module.name!r} ({module.source}) has no task: a task is a function decorated with @cpu or @io"


def _extend_path() -> None:
    """Let Python find modules in the current directory and in the project's, after all others.

    Last, so that no file there hides a module of ours or of a distribution.
    """
    project = current_project()
    try:
        directories = [Path.cwd()]
    except FileNotFoundError:
        directories = []
    for directory in map(str, [*directories, *([project.directory] if project else [])]):
        if directory not in sys.path:
            sys.path.append(directory)


def _is_from(task: object, module: str) -> bool:
    """Whether a module has a task: its function, or that of a module of its own, or a name for it."""
    name = getattr(getattr(task, "run", None), "__module__", "")
    names = getattr(sys.modules.get(module), "__dict__", {})
    has_name = any(each is task for each in names.values())
    return has_name or name == module or name.startswith(f"{module}.")


def _import(module: TaskModule) -> None:
    try:
        importlib.import_module(module.name)
    except (Exception, SystemExit) as error:
        raise SettingError(f"{module.source}: cannot import {module.name!r}: {_reason(module.name, error)}") from error


def _reason(name: str, error: BaseException) -> str:
    """Why a module cannot be imported: the error, where it was raised, and which Python looked."""
    if name.endswith(".py") or "/" in name:
        return f"it is a path (did you mean {name.removesuffix('.py').replace('/', '.').strip('.')!r}?)"
    message = error.msg if isinstance(error, SyntaxError) else error
    text = f"{type(error).__name__}: {message}".rstrip(": ")
    place = _place(error)
    python = f"; this Python is {sys.executable}" if isinstance(error, ImportError) else ""
    return f"{text}{f', at {place}' if place else ''}{python}"


def _place(error: BaseException) -> str:
    """The file and the line in the user's code at which an import failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{frame.filename}:{frame.lineno}" for frame in frames if is_users_own(Path(frame.filename))]
    return own[-1] if own else ""
