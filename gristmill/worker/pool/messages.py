"""The messages that a worker's pool has: from the call that hands one over until the pool reports its end."""

from dataclasses import dataclass
from typing import Any

from gristmill.worker.celery_internals import is_over


@dataclass(slots=True)
class PoolMessage:
    """A message that the pool has: the request that Celery made of it, and the pool's job."""

    request: Any
    #: What `celery_internals.job_of` answers; None until it is known, and where a pool tells nothing.
    job: Any = None


class PoolMessages:
    """The messages that the pool has, by delivery tag."""

    def __init__(self) -> None:
        self._by_tag: dict[str, PoolMessage] = {}
        #: What looked lost on the last call.
        self._suspects: set[str] = set()

    def add(self, request: Any) -> None:
        """Note that the pool gets the message of `request`."""
        self._by_tag[request.message.delivery_tag] = PoolMessage(request)

    def note_job(self, request: Any, job: Any) -> None:
        """Note what `celery_internals.job_of` answers; nothing if a thread has reported the end already."""
        if message := self._of(request):
            message.job = job

    def remove(self, request: Any) -> None:
        """Note that the pool has reported the end of the request."""
        if self._of(request):
            self._by_tag.pop(request.message.delivery_tag, None)

    def _of(self, request: Any) -> PoolMessage | None:
        message = self._by_tag.get(request.message.delivery_tag)
        return message if message and message.request is request else None

    def retain(self, tags: set[str]) -> None:
        """Forget all messages but those with these tags: Celery has taken the others back from the pool."""
        for tag in self._by_tag.keys() - tags:
            self._by_tag.pop(tag, None)

    def lost(self) -> set[str]:
        """The tags of messages that the pool has lost: their jobs are over, and nobody has heard how they ended.

        A message is lost if it is so on two calls in a row: the pool may be about to report its end. The call releases
        the slots of the messages that it answers, and they are no longer in the pool for this object.
        """
        suspects = {tag for tag, message in list(self._by_tag.items()) if is_over(message.job)}
        lost, self._suspects = suspects & self._suspects, suspects
        for tag in lost:
            if message := self._by_tag.pop(tag, None):
                message.request.abandon()
        return lost


#: The messages that the pool of this process has.
pool_messages = PoolMessages()
