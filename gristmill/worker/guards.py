"""What every worker on the transport does before its pool starts."""

import gc
import logging
import sys
from typing import Any, NoReturn

from celery.bootsteps import Step

from gristmill.broker.transport import Transport

#: Prefixes of the names of tasks that no app defines.
BUILT_IN = ("celery.", "gristmill.")

log = logging.getLogger(__name__)


def refuse(reason: str) -> NoReturn:
    """End a worker that must not start, with one line and the exit code of bad input."""
    sys.stderr.write(f"worker: {reason}\n")
    raise SystemExit(2)


def freeze() -> None:
    """Keep the garbage collector from what there is: looking at it writes to its memory."""
    gc.collect()
    gc.freeze()


class TransportGuard(Step):
    """Refuses to start a worker on another transport: what it takes could be lost."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        connection = worker.app.connection_for_read()
        if not isinstance(connection.transport, Transport):
            found = type(connection.transport)
            refuse(
                f"{connection.as_uri()} is reached through {found.__module__}:{found.__qualname__}, which can lose "
                f"messages, not through {Transport.__module__}:{Transport.__qualname__}: the broker has to be "
                "redis://, rediss:// or redis+socket://, and nothing else may set kombu's transport for it"
            )
        super().__init__(worker, **kwargs)


class OptOuts(Step):
    """Names the tasks whose messages are not kept until they are done."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        tasks = [task for name, task in sorted(worker.app.tasks.items()) if not name.startswith(BUILT_IN)]
        early = [task.name for task in tasks if not task.acks_late]
        if early:
            log.warning("acks_late=False opts out: a worker that dies loses what it runs of %s", ", ".join(early))
        dropped = [task.name for task in tasks if task.acks_late and not task.reject_on_worker_lost]
        if dropped:
            log.warning(
                "reject_on_worker_lost=False opts out: a pool process that dies fails what it runs of %s",
                ", ".join(dropped),
            )
        super().__init__(worker, **kwargs)


class Freeze(Step):
    """Has pool processes go on sharing the memory of what was loaded."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        # Else each process imports and makes it when its first task ends: 2 MB.
        _ = worker.app.backend
        freeze()
        super().__init__(worker, **kwargs)
