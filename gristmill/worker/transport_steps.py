"""The steps of every worker on the transport, before its pool starts."""

import logging
import sys
from typing import Any, NoReturn

from celery.bootsteps import Step

from gristmill.broker.address import SCHEMES
from gristmill.broker.transport import Transport
from gristmill.config.settings import variable
from gristmill.worker.pool.shared_memory import freeze

#: Prefixes of the names of tasks that are not an app's own.
BUILT_IN = ("celery.", "gristmill.")

log = logging.getLogger(__name__)


def refuse(reason: str) -> NoReturn:
    """Exit with one line and the code of bad input: this worker must not start."""
    sys.stderr.write(f"worker: {reason}\n")
    raise SystemExit(2)


class TransportGuard(Step):
    """Refuses to start a worker of our app on another transport, which could lose messages."""

    def __init__(self, worker: Any, **_: Any) -> None:
        connection = worker.app.connection_for_read()
        if not isinstance(connection.transport, Transport):
            other = type(connection.transport)
            refuse(
                f"invalid transport for {connection.as_uri()}: {other.__module__}:{other.__qualname__}, which can lose "
                f"messages (expected {Transport.__module__}:{Transport.__qualname__}, "
                f"which `import gristmill.broker` registers for {', '.join(SCHEMES)})"
            )


class QueueGuard(Step):
    """Refuses to start a worker on a queue that is a list, whose messages it could lose."""

    def __init__(self, worker: Any, **_: Any) -> None:
        stock = worker.app.connection_for_read().transport_options.get("stock_queues", ())
        both = sorted(set(stock) & set(worker.app.amqp.queues.consume_from))
        if both:
            refuse(
                f"invalid queue: {both[0]!r} (expected a queue that {variable('stock_queues')} or the transport option "
                "stock_queues does not name: only workers of stock Celery take the messages of those)"
            )


class OptOuts(Step):
    """Logs the tasks whose messages are acknowledged before they are done."""

    def __init__(self, worker: Any, **_: Any) -> None:
        tasks = [task for name, task in sorted(worker.app.tasks.items()) if not name.startswith(BUILT_IN)]
        early_tasks = [task.name for task in tasks if not task.acks_late]
        if early_tasks:
            log.warning("acks_late=False: a worker that dies loses the running messages of %s", ", ".join(early_tasks))
        failing_tasks = [task.name for task in tasks if task.acks_late and not task.reject_on_worker_lost]
        if failing_tasks:
            log.warning(
                "reject_on_worker_lost=False: a pool process that dies fails the running messages of %s",
                ", ".join(failing_tasks),
            )


class Freeze(Step):
    """Has pool processes share the memory of everything that is loaded."""

    def __init__(self, worker: Any, **_: Any) -> None:
        # Else each process makes its own at the end of its first task, of 2 MB.
        _ = worker.app.backend
        freeze()
