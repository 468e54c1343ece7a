"""The `setup` of a task: what a process needs before its first item of the task, such as a model or a connection."""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from gristmill.errors import GristmillError, invalid_value
from gristmill.server.waiting import backoff

#: Seconds until a setup that failed is tried again, at first and at most.
AGAIN_SECONDS, AGAIN_MOST_SECONDS = 1.0, 60.0

#: One for each function: tasks that share a setup share its one run.
_setups: dict[Callable[[], Any], "Setup"] = {}


class SetupFailed(GristmillError):
    """Raised when the setup of a task failed, now or a moment ago. Its cause is what the setup raised.

    The attempt that failed began at `began`, in Unix time.
    """

    def __init__(self, message: str, began: float) -> None:
        super().__init__(message)
        self.began = began


class Setup:
    """One setup function. A plain one runs once in each process, an `async def` once on each event loop."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.name: str = getattr(function, "__name__", repr(function))
        self.is_async = inspect.iscoroutinefunction(function)
        # A process that is forked from one in which the setup ran has what the setup made.
        self._is_done = False
        self._loops: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
        self._lock = threading.Lock()
        self._failure: SetupFailed | None = None
        self._failures = 0
        self._again_at = 0.0

    @classmethod
    def of(cls, function: Callable[[], Any]) -> "Setup":
        """The setup that calls `function`.

        Raises:
            TypeError: it cannot be called without arguments.
        """
        try:
            inspect.signature(function).bind()
        except (TypeError, ValueError):
            raise TypeError(invalid_value("setup", function, "a function that takes no arguments")) from None
        return _setups.setdefault(function, cls(function))

    def has_run(self, loop: asyncio.AbstractEventLoop | None = None) -> bool:
        """Whether it has run in this process, or, of an `async def`, on `loop`."""
        return self._is_done if loop is None else loop in self._loops

    def run(self, seconds: float = 0.0) -> bool:
        """Run a plain function unless it has run in this process; whether it ran now.

        Other threads wait meanwhile, for `seconds` at most, or with 0 for as long as it takes.

        Raises:
            SetupFailed: the function raised something, now or so short a time ago that it is not called again yet; or
                it still runs in another thread.
        """
        if self._is_done:
            return False
        with self._turn(seconds):
            if self._is_done:
                return False
            self._try(self.function)
            self._is_done = True
        return True

    @contextmanager
    def _turn(self, seconds: float) -> Iterator[None]:
        began = time.time()
        if not self._lock.acquire(timeout=seconds or -1):
            # Nothing can end a thread; those that wait for it have other tasks.
            raise SetupFailed(f"{self.name}() has not ended in another slot within {seconds:g} s", began)
        try:
            yield
        finally:
            self._lock.release()

    def run_on(self, loop: asyncio.AbstractEventLoop, run: Callable[[Any], Any]) -> bool:
        """Run an `async def` unless it has run on `loop`; whether it ran now. `run` runs a coroutine on that loop.

        Raises:
            SetupFailed: as `run`.
        """
        with self._lock:
            if loop in self._loops:
                return False
            self._try(lambda: run(self.function()))
            self._loops.add(loop)
        return True

    def _try(self, call: Callable[[], Any]) -> None:
        if self._failure is not None and time.monotonic() < self._again_at:
            raise self._failure
        began = time.time()
        try:
            call()
        except BaseException as error:
            self._failures += 1
            self._again_at = time.monotonic() + backoff(self._failures, AGAIN_SECONDS, AGAIN_MOST_SECONDS)
            self._failure = SetupFailed(f"{type(error).__name__} in {self.name}(): {error}".removesuffix(": "), began)
            raise self._failure from error
        self._failures = 0


def setup_of(function: Callable[[], Any] | None, is_async: bool, preload: bool, task: str) -> Setup | None:
    """The setup of a task, which may be an `async def` itself; with `preload` it runs before processes are forked.

    Raises:
        TypeError: it cannot be called without arguments, or cannot run where the task runs.
    """
    if function is None:
        if preload:
            raise TypeError(f"task {task!r}: {invalid_value('preload', True, 'a setup beside it')}")
        return None
    try:
        setup = Setup.of(function)
    except TypeError as error:
        raise TypeError(f"task {task!r}: {error}") from error
    if setup.is_async and not is_async:
        expected = "a plain function: only an `@io async def` task has an event loop"
        raise TypeError(f"task {task!r}: {invalid_value('setup', f'async def {setup.name}', expected)}")
    return setup
