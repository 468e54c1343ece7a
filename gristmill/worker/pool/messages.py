"""The messages that a worker's pool has: from the call that hands one over until the pool reports its end."""

from dataclasses import dataclass
from typing import Any

from gristmill.worker.celery_internals import is_over


@dataclass(slots=True)
class Handed:
    """A request of Celery's that was handed to the pool."""

    request: Any
    #: What `celery_internals.job_of` answers; None until it is known, and where a pool tells nothing.
    job: Any = None


class PoolMessages:
    """Celery's requests that were handed to the pool, with the pool's jobs, by delivery tag."""

    def __init__(self) -> None:
        self._handed: dict[str, Handed] = {}
        #: What looked lost on the last call.
        self._suspects: set[str] = set()

    def add(self, request: Any) -> None:
        """Note that the pool gets the message of `request`."""
        self._handed[request.message.delivery_tag] = Handed(request)

    def note_job(self, request: Any, job: Any) -> None:
        """Note what `celery_internals.job_of` answers; nothing if a thread has reported the end already."""
        if handed := self._of(request):
            handed.job = job

    def remove(self, request: Any) -> None:
        """Note that the pool has reported the end of the request."""
        if self._of(request):
            self._handed.pop(request.message.delivery_tag, None)

    def _of(self, request: Any) -> Handed | None:
        handed = self._handed.get(request.message.delivery_tag)
        return handed if handed and handed.request is request else None

    def retain(self, tags: set[str]) -> None:
        """Forget all messages but those with these tags: Celery has taken the others back from the pool."""
        for tag in self._handed.keys() - tags:
            self._handed.pop(tag, None)

    def lost(self) -> set[str]:
        """The tags of messages that the pool has lost: their jobs are over, and nobody has heard how they ended.

        A message is lost if it is so on two calls in a row: the pool may be about to report its end. The call releases
        the slots of the messages that it answers, and they are no longer in the pool for this object.
        """
        suspects = {tag for tag, handed in list(self._handed.items()) if is_over(handed.job)}
        lost, self._suspects = suspects & self._suspects, suspects
        for tag in lost:
            if handed := self._handed.pop(tag, None):
                handed.request.abandon()
        return lost


#: The messages that the pool of this process has.
pool_messages = PoolMessages()
