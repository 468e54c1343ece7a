"""What becomes of messages whose runs have ended: threads leave it for the event loop, which does all of it at once."""

from collections import deque
from collections.abc import Callable
from typing import Any

from kombu.asynchronous.hub import promise


class MessageEnds:
    """Acknowledgements and returns that wait for the event loop; one call of the loop makes all that have come.

    A call for each takes a lock that all threads share, and may wake the loop each time.
    """

    def __init__(self, call_soon: Callable[[Callable[[], None]], Any]) -> None:
        """`call_soon` has the event loop call what it gets; any thread may call it."""
        self._call_soon = call_soon
        self._waiting: deque[Callable[[], Any]] = deque()
        self._is_called = False

    def add(self, end: Callable[[], Any]) -> None:
        """Have the event loop call `end`."""
        self._waiting.append(end)
        if not self._is_called:
            self._is_called = True
            self._call_soon(self.make)

    def make(self) -> None:
        """Make the calls that wait; after one that raises, the loop makes the others."""
        # What comes from now on has the loop call this again, which may find nothing.
        self._is_called = False
        try:
            for _ in range(len(self._waiting)):
                self._waiting.popleft()()
        finally:
            if self._waiting and not self._is_called:
                self._is_called = True
                self._call_soon(self.make)


class LatePromise:
    """In place of the promises that Celery makes for each message, of which it keeps one.

    It becomes a promise when somebody wants to know how it ends.
    """

    __slots__ = ("_arguments", "_call", "_on_error", "_promise")

    def __init__(self, call: Callable[..., Any], arguments: tuple[Any, ...], on_error: Callable[..., Any]) -> None:
        self._call, self._arguments, self._on_error = call, arguments, on_error
        self._promise: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Make the call; `on_error` gets what it raises."""
        if self._promise is not None:
            return self._promise(*arguments)
        try:
            return self._call(*self._arguments, *arguments)
        except Exception as error:
            return self._whole().throw(error)

    def then(self, callback: Callable[..., Any], on_error: Callable[..., Any] | None = None) -> Any:
        """As a promise's."""
        return self._whole().then(callback, on_error)

    def _whole(self) -> Any:
        if self._promise is None:
            self._promise = promise(self._call, self._arguments, on_error=self._on_error)
        return self._promise
