"""Submits a batch in a thread of its own, so that the caller can read its results meanwhile."""

import threading
from collections.abc import Callable
from contextvars import copy_context

from gristmill.errors import BatchCancelled, GristmillError
from gristmill.producer.batch import Batch
from gristmill.producer.submission import Submission
from gristmill.server.waiting import Deadline

#: Seconds between two looks for an error of the thread.
_LOOK_SECONDS = 0.2


class Feeding:
    """Submits while the context lasts; items that are not stored by then are not sent.

    A batch that is cancelled meanwhile can still be followed to its end: `say`, if any, is called with a line about it,
    and nothing is raised.
    """

    def __init__(self, submission: Submission, deadline: Deadline, say: Callable[[str], None] | None = None) -> None:
        self.submission = submission
        self._deadline = deadline
        self._say = say
        self._cancelled = False
        # Nothing can interrupt a read of standard input: the thread may outlive this context, but not the process.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="feeding", daemon=True)
        # Not the thread's own word: Python takes a thread for dead when Ctrl-C interrupts a `join`.
        self._ended = threading.Event()

    def __enter__(self) -> "Feeding":
        self.submission.restart()
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.submission.send(self._deadline)
        except Exception as error:
            self.submission.problems.put(error)
        finally:
            self.submission.verified.set()
            self._ended.set()

    def verified_batch(self) -> Batch:
        """The batch, as soon as its items are known to be those of the input: then its results may be shown.

        Raises:
            TimeoutError: the deadline has passed.
            Exception: as `Submission.send` raises.
        """
        while not self._cancelled and not self.submission.verified.wait(_LOOK_SECONDS):
            if self._deadline.over:
                raise TimeoutError(f"no item was stored within {self._deadline.seconds:g} s")
            self.check()
        self.check()
        return self.submission.batch()

    def check(self) -> None:
        """Raise what went wrong, unless the batch was cancelled and can still be followed."""
        while not self.submission.problems.empty():
            problem = self.submission.problems.get()
            if self._say is None or not isinstance(problem, BatchCancelled):
                raise problem
            self._say_cancelled(problem)

    def _say_cancelled(self, error: BatchCancelled) -> None:
        if self._say and not self._cancelled:
            self._cancelled = True
            self._say(str(error))

    def finish(self) -> None:
        """Wait until all items are stored; raises as `verified_batch` does."""
        while not self._ended.wait(_LOOK_SECONDS):
            self.check()
        self.check()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._ended.is_set():
            return
        if kind is None:
            # The batch has ended before its input: it was cancelled, or the thread is about to learn of the end.
            try:
                self.submission.send_heartbeat()
            except BatchCancelled as cancelled:
                self._say_cancelled(cancelled)
            except GristmillError:
                pass
        self.submission.stop()
        if self.submission.items.source.regular:
            # The caller may read the source once more.
            self._ended.wait()
