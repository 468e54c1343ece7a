"""One ServerError, in one line, instead of the chains of errors that Celery, kombu and redis-py raise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from gristmill.server.connection import for_server, locate, reaching
from gristmill.server.waiting import COMMAND, patiently

T = TypeVar("T")


@contextmanager
def one_line() -> Iterator[None]:
    """Raise one ServerError instead of the chain of errors of Celery, kombu and redis-py."""
    with reaching():
        try:
            yield
        except (OperationalError, RuntimeError) as error:
            # Celery's backend raises a RuntimeError once it has lost its connection.
            below: BaseException | None = error
            while below is not None and not isinstance(below, RedisError):
                below = below.__cause__ or below.__context__
            if below is None:
                raise
            raise below from None


def _repeated(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Make a call that may be repeated until the server answers. Celery gives up at the first broken connection."""
    with one_line():
        return patiently(partial(call, *args, **kwargs), for_server(locate(), COMMAND))


class ResultsInOneLine:
    """What programs ask of a result backend, before Celery's class: it raises ServerError."""

    def get_task_meta(self, *args: Any, **kwargs: Any) -> Any:
        """The state and the value of a result."""
        return _repeated(super().get_task_meta, *args, **kwargs)  # type: ignore[misc]

    def wait_for_pending(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for a result."""
        with one_line():
            return super().wait_for_pending(*args, **kwargs)  # type: ignore[misc]

    def add_pending_result(self, *args: Any, **kwargs: Any) -> Any:
        """Listen for a result."""
        with one_line():
            return super().add_pending_result(*args, **kwargs)  # type: ignore[misc]

    def iter_native(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """The results of a group."""
        with one_line():
            yield from super().iter_native(*args, **kwargs)  # type: ignore[misc]

    def forget(self, *args: Any, **kwargs: Any) -> Any:
        """Delete a result."""
        return _repeated(super().forget, *args, **kwargs)  # type: ignore[misc]

    def apply_chord(self, *args: Any, **kwargs: Any) -> Any:
        """Note the parts of a chord."""
        with one_line():
            return super().apply_chord(*args, **kwargs)  # type: ignore[misc]
