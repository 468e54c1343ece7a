"""Submits a batch in a thread of its own, so that its results can be read meanwhile."""

import threading
from types import TracebackType

from producer.batch import Batch
from producer.deadline import Deadline
from producer.submission import Submission


class Feeding:
    """Submits while the context lasts; what is not stored by its end stays unsent."""

    def __init__(self, submission: Submission, deadline: Deadline) -> None:
        self.submission = submission
        self._deadline = deadline
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
        if not self.submission.verified.wait(self._deadline.left):
            raise TimeoutError(f"no item was stored within {self._deadline.seconds:g} s")
        self.check()
        return self.submission.batch()

    def check(self) -> None:
        """Raise what submitting has raised, if anything."""
        if self._failure is not None:
            raise self._failure

    def finish(self) -> None:
        """Wait until all is stored; raises as `begun` does."""
        self._thread.join()
        self.check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._thread.is_alive():
            return
        self.submission.stop()
        if self.submission.items.source.regular:
            # It may be read once more.
            self._thread.join()
