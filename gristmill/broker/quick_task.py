"""A Celery task whose plain calls, `.delay()` with positional arguments, have their message made from an envelope."""

from collections.abc import Sequence
from typing import Any

from celery import Task


class QuickTask(Task):
    """Puts the messages that Celery puts. What differs from call to call in other ways than arguments is Celery's."""

    abstract = True

    def apply_async(self, args: Any = None, kwargs: Any = None, *others: Any, **options: Any) -> Any:
        """As Celery's."""
        if not (kwargs or others or options) and type(args) is tuple:
            result = self.put_quickly(args)
            if result is not None:
                return result
        return super().apply_async(args, kwargs, *others, **options)

    def put_quickly(self, arguments: Sequence[Any]) -> Any:
        """Put a call, and return its result; None, and nothing is put, if its message is not like those of others."""
        # Imported here with the transport, because most commands call no task.
        from gristmill.broker.quick_put import put_quickly

        return put_quickly(self, arguments)
