"""Celery's request: runs suspects alone, and tells the transport which message killed a process."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from weakref import ref

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.worker import state
from redis.exceptions import RedisError

from gristmill.broker.qos import SUSPECT
from gristmill.worker import quarantined_task, task_counts
from gristmill.worker.celery_internals import CeleryRequest, ThreadPool, thread_of
from gristmill.worker.quarantine import DEATHS

#: Seconds for which a message stays hidden whose outcome could not be sent to the server.
HAND_BACK_SECONDS = 1.0


class Request(CeleryRequest):
    """A message that a worker's main process has reserved or runs."""

    acknowledged: bool
    #: A weak reference to its job in the pool; None before the pool has it.
    job: Callable[[], Any] | None = None

    def __init_subclass__(cls) -> None:
        """Wrap the methods of the class that Celery makes for each task, to count outcomes."""
        super().__init_subclass__()
        inherited, run = cls.on_success, cls.execute_using_pool

        def on_success(self: Any, answer: Any, **kwargs: Any) -> Any:
            # The thread pool reports in this way that a task ended its thread, for example by SystemExit.
            if isinstance(answer, ExceptionInfo):
                return self.on_failure(answer)
            if not getattr(self.task, "quarantines_items", False):
                self._count(*answer)
            return inherited(self, answer, **kwargs)

        def execute_using_pool(self: Any, pool: Any, **kwargs: Any) -> Any:
            job = run(self, pool, **kwargs)
            self.job = None if job is None else ref(job)
            if isinstance(pool, ThreadPool):
                thread_of(job).add_done_callback(self._look_at)
            return job

        cls.on_success, cls.execute_using_pool = on_success, execute_using_pool

    @property
    def type(self) -> str:
        """The name of the task that the pool runs. The task of chunks itself runs each item of a suspect alone."""
        suspect = (self.request_dict.get("gm_returns") or 0) >= SUSPECT
        quarantine = suspect and not getattr(self.task, "quarantines_items", False)
        return quarantined_task.NAME if quarantine else str(super().type)

    def _look_at(self, future: Future[Any]) -> None:
        """Release a request that a thread could not begin or end: nobody else does, and the slot would be lost."""
        error = None if future.cancelled() else future.exception()
        if error is None or self.acknowledged:
            return
        state.task_ready(self)
        self.acknowledged = True
        qos, tag = self.message.channel.qos, self.message.delivery_tag
        if isinstance(error, RedisError | OSError):
            qos.postpone(tag, HAND_BACK_SECONDS)
        else:
            qos.bury(tag, f"Celery could not run it: {error!r}")

    def _count(self, failed: bool, value: Any, seconds: float | None) -> None:
        error: Any = getattr(value.exception, "exc", value.exception) if failed else None
        if isinstance(error, quarantined_task.QuarantinedTaskEnded):
            error, seconds = error.error, error.runtime
        task_counts.count(self.delivery_info.get("routing_key") or "", self.name, error, seconds)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Blame a message, and no other, for the death of the process that ran it."""
        error = getattr(exc_info, "exception", None)
        error = getattr(error, "exc", error)
        # To Celery a task that exits is a lost worker too.
        if isinstance(error, WorkerLostError | SystemExit | KeyboardInterrupt):
            self.message.channel.qos.blamed.add(self.message.delivery_tag)
        elif isinstance(error, quarantined_task.PoisonMessage):
            self.message.channel.qos.bury(self.message.delivery_tag, str(error.reason), DEATHS)
            self.acknowledged = True
        elif isinstance(error, quarantined_task.QuarantinedTaskEnded):
            self._tell(error)
        return super().on_failure(exc_info, *args, **kwargs)

    def _tell(self, end: quarantined_task.QuarantinedTaskEnded) -> None:
        if end.error is None:
            self.send_event("task-succeeded", result=end.result, runtime=end.runtime)
        else:
            self.send_event("task-failed", exception=end.error, traceback="")
