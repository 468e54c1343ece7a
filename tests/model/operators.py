"""What an operator does."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from redis.exceptions import ResponseError

from gristmill.errors import InputError
from tests.model.product import BATCH, INPUT_ENDED, OTHERS, SCHEDULE, Product
from tests.model.world import Actors, Producer, Worker

#: Actions that are done once they have been called.
_ONCE: dict[str, Callable[[Product], object]] = {
    "cancel": lambda product: product.control.cancel(BATCH, "why"),
    "pause": lambda product: product.control.pause(BATCH),
    "resume": lambda product: product.control.resume(BATCH),
    "purge": lambda product: product.purge(),
}


def _retry(product: Product, cancelled: bool, item: int | None = None) -> int:
    try:
        if item is not None:
            return product.control.retry_item(BATCH, item)
        return product.control.retry(BATCH, cancelled=cancelled)
    except InputError:
        # The batch is being cancelled, or is not there yet.
        return 0


def _retry_in_workflow(product: Product, batch: str) -> int:
    try:
        return product.control.retry(batch, workflow=True)
    except InputError:
        # The batch is being cancelled.
        return 0


def _cancel_item(product: Product) -> int:
    try:
        product.control.cancel_item(BATCH, 0, "why")
    except InputError:
        # It is not stored yet.
        return 0
    return 1


def _submit(product: Product, name: str, **fields: str) -> int:
    try:
        product.submit_other(name, **fields)
    except InputError:
        # There is no batch to follow yet.
        return 0
    return 1


def _cancel_whole(product: Product) -> int:
    state: Any = product.client.hget(product.ledger.key(BATCH, "state"), INPUT_ENDED)
    return int(bool(state) and product.control.cancel(BATCH, "why") is not None)


def _run_schedule(product: Product) -> int:
    try:
        product.schedules.run(SCHEDULE)
    except InputError:
        # There is none yet.
        return 0
    return 1


#: Actions that are done once there was something to do.
_UNTIL_DONE: dict[str, Callable[[Product], int]] = {
    "retry": lambda product: _retry(product, cancelled=False),
    "retry cancelled": lambda product: _retry(product, cancelled=True),
    "retry workflow": lambda product: _retry_in_workflow(product, BATCH),
    "retry follower": lambda product: _retry_in_workflow(product, OTHERS[0]),
    "cancel item": _cancel_item,
    "retry item": lambda product: _retry(product, cancelled=False, item=0),
    "submit after": lambda product: _submit(product, OTHERS[0], after=BATCH),
    "submit after:ended": lambda product: _submit(product, OTHERS[0], after=f"{BATCH}:ended"),
    "submit from": lambda product: _submit(product, OTHERS[0], from_batch=BATCH, from_states="succeeded"),
    "submit beside": lambda product: _submit(product, OTHERS[0]),
    "another submits beside": lambda product: _submit(product, OTHERS[1], submitted_by="you"),
    "cancel at last": _cancel_whole,
    "run schedule": _run_schedule,
    "requeue": lambda product: product.dead_letters.requeue_all(),
}


def _kill(after: Actors, product: Product) -> Actors:
    """Cancel, and end the items that run: Celery then acknowledges their messages."""
    running = product.control.cancel(BATCH, "why", [worker.name for worker in after.workers])
    runs = {(each.worker, each.chunk) for each in running or []}
    for worker in after.workers:
        if worker.at == "run" and (worker.name, worker.chunk) in runs:
            after = after.with_worker(replace(worker, at="ack", running=None, items=()))
    return after


def _drain(after: Actors, product: Product) -> Actors:
    """End a worker that has a message, if one has: it hands the message back, and another worker starts."""
    for worker in after.workers:
        if worker.tag:
            product.hand_back(worker.name, [worker.tag])
            return after.with_worker(Worker(worker.slot, worker.life + 1))
    return after


def _submit_anew(after: Actors, product: Product) -> Actors:
    """Delete the batch and submit other items under its name, a moment later."""
    product.ledger.delete(BATCH)
    product.set_clock(after.now + 1)
    producer = Producer("create", after.producers[0].life + 1)
    return replace(after, now=after.now + 1, generation=after.generation + 1, producers=(producer,))


#: Actions that change what others know.
_CHANGES: dict[str, Callable[[Actors, Product], Actors]] = {
    "kill": _kill,
    "drain": _drain,
    "submit anew": _submit_anew,
}
#: Actions that the operator repeats when their answer is lost. A drained worker is gone then, and who repeats
#: "submit anew" deletes what was submitted anew.
REPEATED = frozenset({name for name in (*_ONCE, *_UNTIL_DONE, "kill") if "submit" not in name} | {"submit from"})


def act(actors: Actors, product: Product) -> Actors:
    """Do the operator's next action; the actors after it."""
    action, *others = actors.operator
    after = replace(actors, operator=tuple(others))
    product.begin_action(len(actors.operator))
    if action in _CHANGES:
        return _CHANGES[action](after, product)
    if action in _UNTIL_DONE:
        return after if _UNTIL_DONE[action](product) else actors
    _ONCE[action](product)
    return after


def requeue_torn(then: Actors, product: Product, writes: int) -> Actors:
    """Requeue the dead letters with a script that breaks off after so many writes; the operator may repeat it."""
    product.begin_action(len(then.operator))
    product.tear(writes)
    with suppress(ResponseError):
        product.dead_letters.requeue_all()
    product.tear(0)
    return then
