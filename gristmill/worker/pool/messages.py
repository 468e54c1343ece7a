"""The messages that a worker's pool has: from the call that hands one over until the pool reports its end."""

from typing import Any

from gristmill.worker.celery_internals import is_over


class PoolMessages:
    """Celery's requests that were handed to the pool, with the pool's jobs, by delivery tag."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[Any, Any]] = {}
        #: What looked lost on the last call.
        self._suspects: set[str] = set()

    def add(self, request: Any, job: Any = None) -> None:
        """Note that the pool has the message of `request`; `job` is what `celery_internals.job_of` answers."""
        self._jobs[request.message.delivery_tag] = request, job

    def remove(self, request: Any) -> None:
        """Note that the pool has reported the end of the request."""
        tag = request.message.delivery_tag
        if self._jobs.get(tag, (None, None))[0] is request:
            self._jobs.pop(tag, None)

    def retain(self, tags: set[str]) -> None:
        """Forget all messages but those with these tags: Celery has taken the others back from the pool."""
        for tag in self._jobs.keys() - tags:
            self._jobs.pop(tag, None)

    def lost(self) -> set[str]:
        """The tags of messages that the pool has lost: their jobs are over, and nobody has heard how they ended.

        A message is lost if it is so on two calls in a row: the pool may be about to report its end. The call releases
        the slots of the messages that it answers, and they are no longer in the pool for this object.
        """
        suspects = {tag for tag, (_, job) in list(self._jobs.items()) if is_over(job)}
        lost, self._suspects = suspects & self._suspects, suspects
        for tag in lost:
            request, _ = self._jobs.pop(tag, (None, None))
            if request is not None:
                request.abandon()
        return lost


#: The messages that the pool of this process has.
pool_messages = PoolMessages()
