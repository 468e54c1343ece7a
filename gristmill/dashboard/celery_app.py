"""The Celery app as Flower sees it: it knows the tasks that workers announce, and imports no module of a user's."""

from collections.abc import Callable, Collection
from typing import Any

from gristmill.config.settings import Settings
from gristmill.config.task_modules import PROGRAMS, SHIPPED_TASKS, task_modules


def forget_user_modules(app: Any, settings: Settings) -> None:
    """Keep the user's own modules out of what Celery and Flower import; only workers need them."""
    own = {module.name for module in task_modules(settings)} - {*SHIPPED_TASKS, PROGRAMS}
    app.conf.imports = tuple(module for module in app.conf.imports or () if module not in own)


class AppView:
    """A Celery app whose `tasks` has the names of `announced()` too; all else is the app's own."""

    def __init__(self, app: Any, announced: Callable[[], Collection[str]]) -> None:
        self._app = app
        self.tasks = TaskNames(app, announced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


class TaskNames:
    """The tasks of an app, and the names of tasks that only workers have: Flower limits those by their name."""

    def __init__(self, app: Any, announced: Callable[[], Collection[str]]) -> None:
        self._app = app
        self._announced = announced

    def __contains__(self, name: object) -> bool:
        return name in self._app.tasks or name in self._announced()

    def __getitem__(self, name: str) -> Any:
        return self._app.tasks[name]
