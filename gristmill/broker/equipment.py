"""What a Celery worker whose connection is ours is built with."""

from functools import cache
from typing import Any

from celery.signals import worker_init

#: By name, so that this room imports none above it.
CONSUMER = "gristmill.worker.consumer:Consumer"
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
    """Give a worker that is about to be built our consumer and steps, if its own connection is ours."""
    from gristmill.broker.transport import Transport

    if not isinstance(sender.app.connection_for_read().transport, Transport):
        return
    if sender.consumer_cls == "celery.worker.consumer:Consumer":
        sender.consumer_cls = CONSUMER
    sender.app.steps["worker"].update(STEPS)
