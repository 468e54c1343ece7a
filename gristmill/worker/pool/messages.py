"""The messages that a worker's pool has: from the call that hands one over until the pool reports its end."""

from typing import Any

from gristmill.worker.celery_internals import is_over


class PoolMessages:
    """The messages that the pool has: the requests that Celery made of them, by delivery tag."""

    def __init__(self) -> None:
        self._requests: dict[str, Any] = {}
        #: What looked lost on the last call.
        self._suspects: set[str] = set()

    def add(self, request: Any) -> None:
        """Note that the pool gets the message of `request`."""
        self._requests[request.message.delivery_tag] = request

    def remove(self, request: Any) -> None:
        """Note that the pool has reported the end of the request."""
        tag = request.message.delivery_tag
        if self._requests.get(tag) is request:
            self._requests.pop(tag, None)

    def forget(self) -> set[str]:
        """Forget the messages whose jobs are over or were taken back from the pool; return their tags."""
        tags = {tag for tag, request in list(self._requests.items()) if is_over(request)}
        for tag in tags:
            self._requests.pop(tag, None)
        return tags

    def lost(self) -> set[str]:
        """The tags of messages that the pool has lost: their jobs are over, and nobody has heard how they ended.

        A message is lost if it is so on two calls in a row: the pool may be about to report its end. The call releases
        the slots of the messages that it answers, and they are no longer in the pool for this object.
        """
        suspects = {tag for tag, request in list(self._requests.items()) if is_over(request)}
        lost, self._suspects = suspects & self._suspects, suspects
        for tag in lost:
            if request := self._requests.pop(tag, None):
                request.abandon()
        return lost


#: The messages that the pool of this process has.
pool_messages = PoolMessages()
