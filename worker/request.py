"""Celery's request, which has suspects run alone and tells the transport whose fault the death of a process was."""

from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker import request

from broker.qos import SUSPECT
from worker import alone
from worker.isolation import DEATHS


class Request(request.Request):
    """A message that Celery's main process has reserved, or runs."""

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
