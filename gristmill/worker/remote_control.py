"""Celery's remote control of a worker of ours: it changes the slots that the fleet counts, or says what does."""

from functools import partial
from typing import Any

from celery.worker.control import Panel, nok, ok

from gristmill.errors import InputError, invalid_value
from gristmill.worker.celery_internals import control_node
from gristmill.worker.pool.size import pool_size
from gristmill.worker.pool.threads import ThreadTaskPool

#: What Celery's commands would do, and nobody would count; and what does that here.
_ELSEWHERE = {
    "autoscale": "this worker has no autoscaler of Celery's: `gristmill autoscale` sets the slots of a queue",
    "pool_restart": "a pool cannot restart: shut the worker down, and `gristmill up` or Compose starts another one",
    "add_consumer": "a worker takes from the queues that it started with: `gristmill up QUEUE=N` starts another one",
    "cancel_consumer": "the slots of this worker would count for a queue from which it takes nothing: drain it instead",
}


def add_commands(consumer: Any) -> None:
    """Have one worker answer so; other workers in this process keep Celery's commands."""
    node = control_node(consumer)
    if node is not None:
        ours = {name: _refusal(name) for name in _ELSEWHERE}
        ours |= {name: partial(_change, name) for name in ("pool_grow", "pool_shrink")}
        ours |= {"rate_limit": rate_limit, "time_limit": time_limit}
        node.handlers = {**node.handlers, **ours}


def _refusal(name: str) -> Any:
    def refuse(state: Any, **options: Any) -> Any:
        if name == "autoscale" and _has_autoscaler(state):
            return Panel.data[name](state, **options)
        return nok(_ELSEWHERE[name])

    return refuse


def _has_autoscaler(state: Any) -> bool:
    return state.consumer.controller.autoscaler is not None


def _change(name: str, state: Any, n: int = 1, **options: Any) -> Any:
    """Give the worker `n` more slots; or take so many from it, once they are idle."""
    if _has_autoscaler(state):
        return Panel.data[name](state, n=n, **options)
    if n < 1:
        return nok(invalid_value("n", n, "1 or more"))
    try:
        slots = pool_size.change_by(n if name == "pool_grow" else -n)
    except InputError as error:
        return nok(str(error))
    return ok(f"{slots} slots, until the worker ends")


def rate_limit(state: Any, task_name: str, rate_limit: str, **options: Any) -> Any:
    """Celery's command, which holds for calls of the task alone."""
    return _of_calls(Panel.data["rate_limit"](state, task_name, rate_limit, **options), "--rate")


def time_limit(state: Any, task_name: str, hard: float | None = None, soft: float | None = None, **options: Any) -> Any:
    """Celery's command, which holds for calls of the task alone, and not in threads."""
    if isinstance(state.consumer.pool, ThreadTaskPool):
        return nok("nothing ends a thread: the tasks of this worker have no time limits")
    return _of_calls(Panel.data["time_limit"](state, task_name, hard, soft, **options), "--time-limit")


def _of_calls(reply: dict[str, str], option: str) -> dict[str, str]:
    return ok(f"{reply['ok']}, for calls such as delay(): a batch has {option}") if "ok" in reply else reply
