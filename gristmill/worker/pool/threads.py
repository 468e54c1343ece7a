"""A pool of threads that makes no future for each message, which would take a tenth of a worker's time for a no-op."""

import gc
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from celery.concurrency.base import apply_target
from celery.utils.log import get_logger

from gristmill.worker.celery_internals import ThreadPool
from gristmill.worker.pool.celery_internals import before_threads_are_joined

#: How many more objects there are than at the last look for cycles when a worker of threads looks again, instead of
#: Python's number in each of its versions: messages that wait are thousands of objects, which each look goes through.
GC_OBJECTS, PYTHONS_OBJECTS = 7_000, (700, 2_000)

log = get_logger(__name__)


class ThreadJob:
    """A call that the pool has."""

    __slots__ = ("__weakref__", "arguments", "has_ended")

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.has_ended = False

    def ready(self) -> bool:
        """Whether the call has ended."""
        return self.has_ended

    def terminate(self, signal: Any = None) -> None:
        """Do nothing: nobody can end a thread, and Celery remembers to drop a message that has not begun."""


class SlotThreads:
    """Threads that make calls, up to `most` at once; a thread starts when a call finds all others occupied."""

    def __init__(self, call: Callable[..., Any], most: int) -> None:
        self.most = most
        self._call = call
        self._jobs: SimpleQueue[ThreadJob | None] = SimpleQueue()
        #: Those that have not ended. Threads take theirs out; each such change is one step.
        self._unfinished: set[ThreadJob] = set()
        #: By this name Celery counts them for `inspect stats`.
        self._threads: list[threading.Thread] = []
        #: Whether no more calls begin.
        self.is_over = False
        # At the exit of a worker that does not stop its pool, what runs still ends by itself.
        before_threads_are_joined(self.stop)

    def submit(self, *arguments: Any) -> ThreadJob:
        """Have a thread make the call with these arguments.

        Nobody makes the call once the threads are to stop.

        Raises:
            RuntimeError: the system starts no thread.
        """
        job = ThreadJob(arguments)
        self._unfinished.add(job)
        try:
            if len(self._threads) < min(self.most, len(self._unfinished)):
                self._start()
        except RuntimeError:
            # The system starts no more threads: those that there are go on.
            if not self._threads:
                self._unfinished.discard(job)
                raise
        self._jobs.put(job)
        return job

    def _start(self) -> None:
        # What a task starts is a daemon where its thread is one, and Python ends daemons with the worker.
        thread = threading.Thread(target=self._run, name=f"pool-{len(self._threads)}", daemon=False)
        thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self.is_over:
            try:
                self._call(*job.arguments)
            except BaseException as error:
                # Whoever looks for lost messages finds it over, and its end not reported.
                log.error("a thread of the pool could not report an end: %r", error, exc_info=error)
            finally:
                self._unfinished.discard(job)
                job.has_ended = True
                # Nothing of it stays while the thread waits.
                del job

    def close(self) -> None:
        """Begin no more calls. Safe to call in a signal handler."""
        self.is_over = True
        for _ in self._threads:
            self._jobs.put(None)

    def stop(self) -> None:
        """Begin no more calls, and wait for those that run."""
        self.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()


class ThreadTaskPool(ThreadPool):
    """Celery's pool of threads, made of SlotThreads."""

    limit: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executor = SlotThreads(apply_target, self.limit)

    def on_start(self) -> None:
        """Have Python look for cycles less often, unless the app has said how often."""
        super().on_start()
        first, *others = gc.get_threshold()
        if first in PYTHONS_OBJECTS:
            gc.set_threshold(GC_OBJECTS, *others)

    def on_stop(self) -> None:
        """Leave the messages that have not begun, and wait for those that run; in a signal handler, wait for none.

        One that runs may need a lock that the interrupted code holds.
        """
        # Celery closes a pool before it stops it, except in its handler of a cold shutdown.
        if self.active:
            self.executor.close()
        else:
            self.executor.stop()

    def on_terminate(self) -> None:
        """As `on_stop`: nobody can end a thread."""
        self.executor.stop()

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any = (),
        kwargs: Any = None,
        callback: Any = None,
        accept_callback: Any = None,
        **_: Any,
    ) -> ThreadJob:
        """Have a thread call `target`."""
        return self.executor.submit(target, args, kwargs, callback, accept_callback)

    def resize(self, threads: int) -> None:
        """Let the pool start so many threads. Those that it has stay, and wait for work without taking any."""
        self.limit = self.executor.most = threads
