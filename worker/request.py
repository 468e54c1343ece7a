"""Celery's request, which tells the transport whose fault the death of a process was."""

from typing import Any

from billiard.exceptions import WorkerLostError
from celery.worker import request

from worker import meters
from worker.chunks import run_chunk


class Request(request.Request):
    """A message that Celery's main process has reserved, or runs."""

    def __init_subclass__(cls) -> None:
        """Count what ends: Celery makes a class for each task, with an `on_success` of its own."""
        super().__init_subclass__()
        inherited = cls.on_success

        def on_success(self: Any, answer: Any, **kwargs: Any) -> Any:
            failed, value, seconds = answer
            if self.name != run_chunk.name:
                error = getattr(value.exception, "exc", value.exception) if failed else None
                meters.count(self.delivery_info.get("routing_key") or "", self.name, error, seconds)
            return inherited(self, answer, **kwargs)

        cls.on_success = on_success

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Note, before it runs, a message whose worker has died once: if that one dies too, it counts."""
        if self.request_dict.get("gm_deaths"):
            self.message.channel.lease.scripts.call("started", self.message.delivery_tag)
        super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Blame a message for the pool process that died while running it."""
        error = getattr(exc_info, "exception", None)
        if isinstance(getattr(error, "exc", error), WorkerLostError):
            self.message.channel.qos.blamed.add(self.message.delivery_tag)
        return super().on_failure(exc_info, *args, **kwargs)
