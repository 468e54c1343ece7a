"""Celery's request: whatever a pool no longer runs is acknowledged or handed back, and suspects run alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated, WorkerLostError
from celery.exceptions import TaskRevokedError
from celery.utils.log import get_logger
from celery.worker import state
from redis.exceptions import RedisError

from gristmill.broker.delivery import Message
from gristmill.broker.qos import SUSPECT
from gristmill.worker.celery_internals import CeleryRequest, ProcessPool, note_cancel, note_job, was_ended
from gristmill.worker.loop.event_loop import cancel_run
from gristmill.worker.pool.messages import pool_messages
from gristmill.worker.request_stack import without_search
from gristmill.worker.slot import quarantined_task
from gristmill.worker.slot.quarantine import DEATHS
from gristmill.worker.slot.trace import EndNotStored, RunLater, as_text, passes, run_to_end
from gristmill.worker.task_counts import task_counts

#: Seconds for which a message stays hidden whose task Celery could not end: the first time, and at most.
AGAIN_SECONDS, AGAIN_MOST = 1.0, 60.0
#: What a pool reports when the process that ran a message has ended. To Celery a task that exits is a lost worker too.
PROCESS_ENDED = (WorkerLostError, SystemExit, KeyboardInterrupt)

logger = get_logger(__name__)


class OutOfMemory(Exception):
    """Stands for a task's MemoryError, at which Celery would end the worker."""


class Request(CeleryRequest):
    """A message that a worker's main process has reserved or runs."""

    acknowledged: bool
    #: What the pool made of the message, once that is known; see `note_job`.
    job: Any = None
    #: Called when the run of a message has ended.
    ended: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        if getattr(self.task, "quarantines_items", False):
            # The process that runs the chunk has nothing else of the message.
            self.request_dict["gm_returns"] = getattr(message, "returns", 0)

    def __init_subclass__(cls) -> None:
        """Change the class that Celery makes of this one, or of an app's own below it, for each task."""
        super().__init_subclass__()
        if cls.__module__ != CeleryRequest.__module__:
            return
        # It has Celery's trace of a task, and ours is another.
        del cls.execute_using_pool
        inherited = cls.on_success

        def on_success(self: Any, answer: Any, **kwargs: Any) -> Any:
            with self._settled():
                # The thread pool reports in this way that a task ended its thread, for example by SystemExit.
                if isinstance(answer, ExceptionInfo):
                    return self.on_failure(answer)
                if answer[0] is False:
                    # A greenlet that was killed: at the end of a task Celery says 0 or 1.
                    return state.task_ready(self)
                if not getattr(self.task, "quarantines_items", False):
                    self._count(*answer)
                return inherited(self, answer, **kwargs)

        cls.on_success = on_success

    @property
    def type(self) -> str:
        """The name of the task that the pool runs. The task of chunks itself runs each item of a suspect alone."""
        suspect = getattr(self.message, "returns", 0) >= SUSPECT
        quarantine = suspect and not getattr(self.task, "quarantines_items", False)
        return quarantined_task.NAME if quarantine else str(super().type)

    @property
    def eta(self) -> Any:
        """When Celery has to start the task; None if the message has waited for that time on the server.

        The task itself sees its time, in `self.request.eta`.
        """
        eta = super().eta
        return None if eta is not None and isinstance(self.message, Message) else eta

    def execute_using_pool(self, pool: Any, **_: Any) -> Any:
        """Hand the message to the pool.

        Raises:
            TaskRevokedError: the task was revoked.
        """
        if self.revoked():
            raise TaskRevokedError(self.id)
        limit, soft_limit = self.time_limits
        pool_messages.add(self)
        answer = pool.apply_async(
            run_to_end,
            args=(self.type, self.id, *self._content(pool)),
            accept_callback=self.on_accepted,
            timeout_callback=self.on_timeout,
            callback=self.on_success,
            error_callback=self.on_failure,
            soft_timeout=soft_limit or self.task.soft_time_limit,
            timeout=limit or self.task.time_limit,
            correlation_id=self.id,
        )
        note_job(self, answer)
        return answer

    def _content(self, pool: Any) -> tuple[Any, ...]:
        """The request, the body, its content type and encoding, as Celery's trace takes them.

        The body is decoded where a pool has no pipe.
        """
        if isinstance(pool, ProcessPool) or not self.content_type:
            return self.request_dict, self.body, self.content_type, self.content_encoding
        body = self.message.payload
        return without_search(self.request_dict, body[2] or {}), body, None, None

    def revoked(self) -> bool:
        """Whether not to run the message: it was revoked or has expired, or goes back since that is not stored."""
        try:
            return bool(super().revoked())
        except Exception as error:
            self._give_up(as_text(error), passes(error))
            return True

    def is_dropped(self) -> bool:
        """Whether a message that waits in the pool is not to run after all, and has ended by that."""
        if not self.revoked():
            return False
        pool_messages.remove(self)
        Request.ended()
        return True

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """End the run of the message. The message goes back once the pool has reported the end of the run.

        Raises:
            NotImplementedError: the pool cannot end a run; the message is acknowledged when the task has ended.
        """
        try:
            super().cancel(pool, signal, emit_retry)
        except NotImplementedError:
            raise
        except Exception as error:
            logger.warning("the state RETRY of %s could not be stored: %s", self.humaninfo(), error)
            note_cancel(self)

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """End the run of the message: its coroutines where it has some, else what the pool runs.

        Raises:
            NotImplementedError: the pool cannot end a run.
        """
        if not cancel_run(self.id):
            super().terminate(pool, signal)

    def abandon(self) -> None:
        """Free the slot of a message that the pool has lost; its lease then hands it back."""
        logger.error("the pool has lost %s: its message goes back to the queue", self.humaninfo())
        state.task_ready(self)
        self.acknowledged = True
        self.message.channel.qos.delivered.pop(self.message.delivery_tag, None)
        Request.ended()

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Have the message acknowledged or handed back at last, whatever Celery does about the end of its run."""
        pool_messages.remove(self)
        try:
            yield
        except Exception as error:
            self._give_up(as_text(error), passes(error))
        finally:
            # Celery leaves a message whose run it has cancelled to the broker.
            self.reject(requeue=True)
            Request.ended()

    def _give_up(self, reason: str, may_pass: bool) -> None:
        """Have a task that Celery could not end run again later, if that may help; else make a dead letter of it."""
        logger.error("Celery could not end %s: %s", self.humaninfo(), reason)
        self._put_off("" if may_pass else f"Celery could not end it: {reason}")

    def _put_off(self, burial: str = "") -> None:
        """Have the message run again later; or make a dead letter of it, with `burial` as the reason."""
        state.task_ready(self)
        if self.acknowledged:
            return
        self.acknowledged = True
        qos, tag = self.message.channel.qos, self.message.delivery_tag
        try:
            if burial:
                qos.bury(tag, burial)
            else:
                qos.postpone_longer(tag, AGAIN_SECONDS, AGAIN_MOST)
        except (RedisError, OSError) as error:
            logger.warning("the message of %s goes back later: %s", self.humaninfo(), error)

    def _count(self, failed: bool, value: Any, seconds: float | None) -> None:
        error: Any = _error_of(value) if failed else None
        if isinstance(error, quarantined_task.QuarantinedTaskEnded):
            error, seconds = error.error, error.runtime
        task_counts.count(self.delivery_info.get("routing_key") or "", self.name, error, seconds)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Celery's, unless the run was cancelled before."""
        if soft:
            super().on_timeout(soft, timeout)
            return
        with self._settled():
            if not was_ended(self):
                super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Settle the message of a run that failed; blame it, and no other, for the death of the process that ran it."""
        error = _error_of(exc_info)
        with self._settled():
            if isinstance(error, Terminated) or (isinstance(error, PROCESS_ENDED) and was_ended(self)):
                # By this worker, which meant this message, or the one before it in the same process.
                return state.task_ready(self)
            if isinstance(error, EndNotStored):
                return self._give_up(error.reason, error.passes)
            if isinstance(error, RunLater):
                return self._put_off()
            if isinstance(error, MemoryError):
                exc_info.exception = OutOfMemory(*error.args)
            elif isinstance(error, PROCESS_ENDED):
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


def _error_of(exc_info: Any) -> Any:
    error = getattr(exc_info, "exception", None)
    return getattr(error, "exc", error)
