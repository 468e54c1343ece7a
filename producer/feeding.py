"""Submits a batch in a thread of its own, so that its results can be read meanwhile."""

import threading
from collections.abc import Callable
from types import TracebackType

from gristmill.errors import BatchCancelled, GristmillError
from gristmill.producer.batch import Batch
from gristmill.producer.deadline import Deadline
from gristmill.producer.submission import Submission

#: Seconds between two looks for what submitting has met.
_LOOK_SECONDS = 0.2


class Feeding:
    """Submits while the context lasts; what is not stored by its end stays unsent.

    A batch that is cancelled meanwhile can be followed to its end all the same: `say` gets a line about it.
    """

    def __init__(self, submission: Submission, deadline: Deadline, say: Callable[[str], None]) -> None:
        self.submission = submission
        self._deadline = deadline
        self._say = say
        self._cancelled = False
        self._failure: Exception | None = None
        # A read of standard input cannot be called off: the thread may outlive this context, but not the process.
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)

    def __enter__(self) -> "Feeding":
        self.submission.restart()
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.submission.send(self._deadline)
        except Exception as error:
            self._failure = error
        finally:
            self.submission.verified.set()

    def begun(self) -> Batch:
        """The batch, as soon as it is known that its items are these: then its results may be shown.

        Raises:
            TimeoutError: that took too long.
            Exception: what `Submission.send` raises.
        """
        while not self._cancelled and not self.submission.verified.wait(_LOOK_SECONDS):
            if self._deadline.over:
                raise TimeoutError(f"no item was stored within {self._deadline.seconds:g} s")
            self.check()
        self.check()
        return self.submission.batch()

    def check(self) -> None:
        """Raise what submitting has raised, if anything but that the batch was cancelled."""
        failure = self._failure or self.submission.failure
        if isinstance(failure, BatchCancelled):
            self._say_cancelled(failure)
        elif failure is not None:
            raise failure

    def _say_cancelled(self, error: BatchCancelled) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._say(str(error))

    def finish(self) -> None:
        """Wait until all is stored; raises as `begun` does."""
        self._thread.join()
        self.check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._thread.is_alive():
            return
        if kind is None:
            # The batch has ended before its input: it was cancelled, or the thread is about to hear of the end.
            try:
                self.submission.send_heartbeat()
            except BatchCancelled as cancelled:
                self._say_cancelled(cancelled)
            except GristmillError:
                pass
        self.submission.stop()
        if self.submission.items.source.regular:
            # It may be read once more.
            self._thread.join()
