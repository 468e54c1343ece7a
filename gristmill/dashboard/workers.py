"""The data of the page Workers: the live workers, and one of them by its name."""

from collections.abc import Mapping, Sequence
from typing import Any

from gristmill.errors import InputError
from gristmill.fleet.meters import Series, TaskCount
from gristmill.fleet.overview import Observer
from gristmill.fleet.registry import LiveWorker


def data(observer: Observer) -> dict[str, Any]:
    """The live workers, each with what it recorded, by name."""
    workers = observer.fleet.workers()
    recorded = observer.meters.of_workers([worker.id for worker in workers]).answer(observer.client)
    return {"workers": rows(workers, recorded)}


def rows(workers: Sequence[LiveWorker], recorded: Mapping[str, Mapping[Series, TaskCount]]) -> list[dict[str, Any]]:
    """The fields of each worker, with how many items it `recorded` that succeeded and failed; `tasks` is a number."""
    answer = []
    for worker in workers:
        counts = recorded[worker.id].values()
        outcomes = {"succeeded": sum(c.succeeded for c in counts), "failed": sum(c.failed for c in counts)}
        fields = {name: getattr(worker, name) for name in LiveWorker.__dataclass_fields__}
        answer.append({**fields, "tasks": len(worker.tasks), **outcomes})
    return answer


def with_name(observer: Observer, name: str) -> list[LiveWorker]:
    """The live workers of that name, which several may share.

    Raises:
        InputError: there is none.
    """
    workers = [worker for worker in observer.fleet.workers() if worker.name == name]
    if not workers:
        raise InputError(f"no live worker is called {name!r}: `gristmill workers` lists them")
    return workers
