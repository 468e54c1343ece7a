"""Spares Celery the search for headers of a sender in messages that have none, which is a tenth of a no-op's run."""

from collections.abc import Mapping
from typing import Any

from celery.app.task import Context
from celery.utils.threads import LocalStack

#: What a request has that Celery knows of. All else, where `headers` says nothing, are headers of the sender: to find
#: none, Celery takes each of these names out of a copy of the request.
_CELERYS = frozenset(vars(Context)) - {"headers"} | {"lang", "task", "argsrepr", "kwargsrepr", "compression"}
#: Stands for the None that Celery would find, until a task could see it.
_NO_HEADERS: dict[str, Any] = {}


def without_search(request: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The request, saying that it has no headers of a sender unless it, or the `options` of the body, have some."""
    has_none = _CELERYS.issuperset(request) and _CELERYS.issuperset(options)
    return {**request, "headers": _NO_HEADERS} if has_none else request


class RequestStack(LocalStack):
    """The requests of a task that run in each thread."""

    def push(self, obj: Any) -> Any:
        """Add a request, and have the task see the headers that it would see without us."""
        if obj.headers is _NO_HEADERS:
            obj.headers = None
        return super().push(obj)


def give_stack(task: Any) -> None:
    """Have a task, of which nothing runs, keep its requests in such a stack."""
    if type(task.request_stack) is LocalStack:
        task.request_stack = RequestStack()
