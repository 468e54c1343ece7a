"""Celery's consumer, which discards no message: unreadable ones become dead letters, unknown ones are handed back."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from celery import Task
from celery.exceptions import InvalidTaskError
from celery.signals import worker_shutting_down
from celery.utils.log import get_logger
from celery.worker import state
from kombu.exceptions import ContentDisallowed, DecodeError
from redis.exceptions import RedisError

from gristmill.broker import leases, revokes
from gristmill.config.figures import duration
from gristmill.config.resources import Resources
from gristmill.config.settings import settings
from gristmill.fleet.watcher import watch
from gristmill.fleet.worker_id import worker_id
from gristmill.server.rights import TRANSPORT, grant, refused_commands
from gristmill.worker.admission import Admission, hand_back
from gristmill.worker.celery_internals import (
    CeleryConsumer,
    ProcessPool,
    end_messages,
    ends_runs,
    is_draining,
    limited_messages,
    members_of,
    pool_runs,
    taken_requests,
    unreported_jobs_kept,
    wake,
)
from gristmill.worker.limits import worker_memory
from gristmill.worker.message_ends import LatePromise, MessageEnds
from gristmill.worker.pool.messages import pool_messages
from gristmill.worker.pool.size import pool_size
from gristmill.worker.pool.threads import ThreadTaskPool
from gristmill.worker.rare_log import RareLog
from gristmill.worker.request import Request
from gristmill.worker.request_stack import give_stack
from gristmill.worker.scheduled_tasks import add_waiting_tasks
from gristmill.worker.slot import quarantined_task  # noqa: F401 - registers its task before the pool forks
from gristmill.worker.transport_steps import refuse
from gristmill.worker.wellformed import check

REQUEST, CELERYS_REQUEST = "gristmill.worker.request:Request", Task.Request

logger = get_logger(__name__)
unknown_task_log = RareLog(logger)


class Consumer(CeleryConsumer):
    """Hands unknown tasks back with a delay, makes malformed ones dead letters, and knows what its pool has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        leases.running = partial(pool_tags, self.pool)
        leases.lost = pool_messages.lost
        add_waiting_tasks(self)
        consumer: Any = self
        consumer.on_task_request = Admission(consumer.on_task_request, self._capacity, self.timer)
        Request.ended = consumer.on_task_request.resume
        self._may_call_all = False
        self.ends = MessageEnds(self.call_soon)
        worker_shutting_down.connect(self._wake, weak=False)

    def _capacity(self) -> Resources:
        return Resources(self.pool.num_processes, worker_memory(settings()))

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have the event loop acknowledge or reject a message, or a thread, while the loop waits for threads to end."""
        if not (self.hub and isinstance(self.pool, ThreadTaskPool)):
            return super().call_soon_ack(p, *args, **kwargs)
        if is_draining():
            p(*args, **kwargs)
        else:
            self.ends.add(partial(p, *args, **kwargs))
        return p

    def cancel_active_requests(self) -> None:
        """End what runs, if the pool can.

        Celery calls this in a signal handler. Its error about a pool that cannot would end whatever was interrupted:
        the delivery of a message, or a task.
        """
        if ends_runs(self.pool):
            super().cancel_active_requests()

    def stop(self) -> None:
        """End what has ended before the worker waits for its pool."""
        self.ends.make()
        end_messages(self.hub)
        super().stop()

    def start_limited(self, request: Any) -> None:
        """Start a message that Celery's `rate_limit` held; while the worker drains, it returns to its queue."""
        if pool_size.is_held:
            hand_back(request, 0.0)
        else:
            super().start_limited(request)

    def give_up(self) -> None:
        """Return the messages that have not started to their queues: the worker takes none for now."""
        consumer: Any = self
        consumer.on_task_request.give_up()
        for request in limited_messages(self):
            hand_back(request, 0.0)

    def connect(self) -> Any:
        """Connect to the broker, and refuse to start where it refuses commands that keep messages safe."""
        connection = super().connect()
        if not self._may_call_all:
            channel = connection.default_channel
            client = channel.scripts.client
            commands = refused_commands(client, channel.global_keyprefix, TRANSPORT)
            if commands:
                refuse(grant(client, commands))
            self._may_call_all = True
        return connection

    def on_close(self) -> None:
        """Keep the jobs that pool processes have read but not reported as started, which Celery forgets here.

        The processes run these jobs all the same, and nobody would acknowledge their messages.
        """
        with unreported_jobs_kept(self.pool):
            super().on_close()
        if isinstance(self.pool, ProcessPool):
            # A channel hands back what it has delivered. What an earlier one had left to the pool would stay taken.
            leases.hand_back(pool_messages.forget())

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Celery's handler; a message that makes it raise before the pool has the message becomes a dead letter."""
        handle = super().create_task_handler(*args, **{"promise": LatePromise, **kwargs})

        def on_task_received(message: Any) -> None:
            try:
                check(message, self.strategies)
                handle(message)
            except (RedisError, OSError):
                raise
            except Exception as exc:
                if any(request.message is message for request in members_of(state.reserved_requests)):
                    raise
                self.on_invalid_task(None, message, exc)

        return on_task_received

    def update_strategies(self) -> None:
        """Have tasks make requests of our class, unless a task has a class of its own."""
        for task in self.app.tasks.values():
            if task.Request == CELERYS_REQUEST:
                task.Request = REQUEST
            give_stack(task)
        super().update_strategies()

    def on_ready(self) -> None:
        """Read the revokes that this worker missed, say which tasks it knows, and join the watch over the fleet."""
        channel = self.connection.default_channel
        revokes.read(channel.scripts)
        channel.scripts.call("know", consumer=channel.lease.consumer, tasks=sorted(self.app.tasks))
        super().on_ready()
        # An error in the loop drops what it was asked to call.
        self.ends.make()
        pool_size.hold(self)
        watch(channel.lease, worker_id(self.hostname))

    def _wake(self, **_: Any) -> None:
        wake(self.hub)

    def leave_request(self) -> None:
        """Wait no longer for messages; those that have come go back."""
        # Where the server does not answer, the messages return once the lease has ended.
        with suppress(RedisError, OSError):
            if self.connection:
                self.connection.default_channel.leave_request()

    def shutdown(self) -> None:
        """Close the connection without the rest of the wait for messages, which takes up to five seconds."""
        self.leave_request()
        super().shutdown()

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Hand the message back, since another worker may know the task."""
        task = str(exc.args[0] if exc.args else exc)
        unknown_task_log.error(
            task,
            "this worker does not know the task %s: its messages go back to their queue, for %s at most",
            task,
            duration(settings().unknown_task_seconds),
        )
        message.channel.qos.refuse(message.delivery_tag, task)

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002
        """Make a message that is not a task a dead letter."""
        _bury(message, "not a Celery task: neither the headers nor the body name one")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Make a task that Celery cannot read a dead letter."""
        _bury(message, f"invalid: {_why(exc)}")

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Make a message whose body cannot be decoded a dead letter."""
        _bury(message, f"cannot be decoded: {_why(exc)}")


def _why(exc: Exception) -> str:
    return str(exc) if isinstance(exc, InvalidTaskError | ContentDisallowed | DecodeError) else repr(exc)


def _bury(message: Any, reason: str) -> None:
    message.channel.qos.bury(message.delivery_tag, reason)


def pool_tags(pool: Any) -> set[str]:
    """Tags of the messages that a pool has: it will acknowledge them, and nobody can take them back."""
    return {
        request.message.delivery_tag
        for request in taken_requests()
        if request in state.active_requests or pool_runs(request, pool)
    }
