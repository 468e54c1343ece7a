"""What this room uses of Celery beyond its documented names, each under a name of ours.

`tests/unit/test_internals.py` asserts every name, and says what breaks when a version lacks it.
"""

from typing import Any

from celery import Celery
from celery.app.utils import Settings

__all__ = ["LocatedCelery", "Settings", "registered", "use_settings"]


class LocatedCelery(Celery):
    """A Celery app that asks for the URL of its result backend when it makes one."""

    def _get_backend(self) -> Any:
        self.conf.result_backend = self.backend_url()
        backend = super()._get_backend()
        backend.__class__ = self.backend_class(type(backend))
        return backend

    def backend_url(self) -> str:
        """The URL of the result backend."""
        raise NotImplementedError

    def backend_class(self, kind: type) -> type:
        """The class of the result backend; `kind` is Celery's for the URL."""
        raise NotImplementedError


def use_settings(app: Celery, kind: type[Settings]) -> None:
    """Give an app settings of another class: Celery names none, and changes the contents of this object."""
    object.__setattr__(app.conf, "__class__", kind)


def registered(app: Celery, name: str) -> Any:
    """The task of that name, if the app has one already; `app.tasks` would import all modules first."""
    return app._tasks.get(name)
