"""What a Celery worker whose connection is ours is built with."""

from functools import cache
from typing import Any

from celery.signals import worker_init

#: By name, so that this room imports none above it.
CONSUMER = "gristmill.worker.consumer:Consumer"
PROCESSES = "gristmill.worker.pool.lot_pool:LotTaskPool"
THREADS = "gristmill.worker.pool.threads:ThreadTaskPool"
#: Celery's pools, by their names, and ours that take their place.
POOLS = {
    **dict.fromkeys(("prefork", "processes", "celery.concurrency.prefork:TaskPool"), PROCESSES),
    **dict.fromkeys(("threads", "celery.concurrency.thread:TaskPool"), THREADS),
}
#: What has Celery write messages to a process that is busy.
FAST = ("fast", "fcfs")
STEPS = (
    "gristmill.worker.transport_steps:QueueGuard",
    "gristmill.worker.transport_steps:OptOuts",
    "gristmill.worker.transport_steps:Freeze",
)


@cache
def watch_workers() -> None:
    """From now on, look at each worker that this process builds."""
    worker_init.connect(equip, weak=False, dispatch_uid=equip.__qualname__)


def equip(sender: Any, **_: Any) -> None:
    """Give a worker that is about to be built our consumer, pool and steps, if its own connection is ours."""
    from gristmill.broker.transport import Transport

    if not isinstance(sender.app.connection_for_read().transport, Transport):
        return
    if sender.consumer_cls == "celery.worker.consumer:Consumer":
        sender.consumer_cls = CONSUMER
    pool = sender.pool_cls
    name = pool if isinstance(pool, str) else f"{pool.__module__}:{pool.__qualname__}"
    ours = POOLS.get(name)
    if ours and not (ours == PROCESSES and sender.optimization in FAST):
        sender.pool_cls = ours
    sender.app.steps["worker"].update(STEPS)
