"""Celery's request, which has suspects run alone and tells the transport whose fault the death of a process was."""

from typing import Any

from billiard.exceptions import WorkerLostError
from celery.exceptions import InvalidTaskError
from celery.worker import request

from broker.qos import SUSPECT
from worker import alone
from worker.isolation import DEATHS

_TEXT, _NUMBER = (str, type(None)), (int, float, type(None))
#: What a message's headers have to be of, where Celery believes them: some it reads only once the task has run,
#: and an error then leaves a message that is neither run again nor acknowledged.
_TYPES = {
    "id": str, "root_id": _TEXT, "parent_id": _TEXT, "group": _TEXT, "reply_to": _TEXT, "shadow": _TEXT,
    "correlation_id": _TEXT, "retries": (int, type(None)), "group_index": _NUMBER, "ignore_result": _NUMBER,
    "gm_returns": _NUMBER, "timelimit": (list, tuple, type(None)), "expires": (str, *_NUMBER), "eta": _TEXT,
    "args": (list, tuple), "kwargs": dict, "stamps": (dict, type(None)), "stamped_headers": (list, tuple, type(None)),
}  # fmt: skip


class Request(request.Request):
    """A message that Celery's main process has reserved, or runs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Raises InvalidTaskError when a header, or the body, is not what Celery takes it for."""
        super().__init__(*args, **kwargs)
        odd = next((name for name, types in _TYPES.items() if not self._is(name, types)), None)
        embedded = self._Request__payload[2] if len(self._Request__payload) == 3 else None
        if odd or not isinstance(embedded, dict | None):
            raise InvalidTaskError(f"{odd or 'the body'} is of the wrong type")

    def _is(self, name: str, types: Any) -> bool:
        value = self.request_dict.get(name)
        if name == "timelimit" and value and not (len(value) == 2 and all(isinstance(one, _NUMBER) for one in value)):
            return False
        return isinstance(value, types) or (value is None and name not in ("id", "args", "kwargs"))

    @property
    def type(self) -> str:
        """The task that the pool runs; that of chunks has each of its items run alone itself."""
        suspect = (self.request_dict.get("gm_returns") or 0) >= SUSPECT
        return alone.NAME if suspect and not getattr(self.task, "isolates", False) else str(self._type)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Blame a message for the process that died while running it, and it alone."""
        error = getattr(exc_info, "exception", None)
        error = getattr(error, "exc", error)
        if isinstance(error, WorkerLostError):
            self.message.channel.qos.blamed.add(self.message.delivery_tag)
        elif isinstance(error, alone.Convicted):
            self.message.channel.qos.bury(self.message.delivery_tag, str(error.reason), DEATHS)
            self.acknowledged = True
        elif isinstance(error, alone.Done):
            self._tell(error)
        return super().on_failure(exc_info, *args, **kwargs)

    def _tell(self, done: alone.Done) -> None:
        if done.error is None:
            self.send_event("task-succeeded", result=done.result, runtime=done.runtime)
        else:
            self.send_event("task-failed", exception=done.error, traceback="")
