"""The data of the Throughput page: the fleet now, the advice, and the history of a range."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from gristmill.config.host import machine_id
from gristmill.config.settings import settings
from gristmill.dashboard import workers
from gristmill.dashboard.advice import Advice, advise
from gristmill.dashboard.advised_command import Reader
from gristmill.dashboard.asking import to_json
from gristmill.dashboard.message_watch import SearchAnswer
from gristmill.dashboard.shared_look import SharedLook
from gristmill.dashboard.warnings import (
    advise_on_abandoned,
    advise_on_names,
    advise_on_orphans,
    advise_on_setups,
    advise_on_unknown_tasks,
)
from gristmill.fleet.autoscale_seat import autoscale_now
from gristmill.fleet.overview import Overview
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.unknown_tasks import tasks_without_worker
from gristmill.fleet.worker_events import worker_events
from gristmill.server.question import together


def data(application: Any, name: str) -> str:
    """The JSON of the page for the range `name`; made once a second, however many visitors ask.

    Raises:
        RedisError: the server does not answer, and whoever waited meanwhile is told so too; or it refuses.
    """
    search: SearchAnswer = application.message_watch.look()
    look: SharedLook = application.shared_look
    return look.make(name, lambda overview: to_json(_compute(application, name, overview, search)))


def _compute(application: Any, name: str, overview: Overview, search: SearchAnswer) -> dict[str, Any]:
    observer = application.observer
    client, of_server = observer.client, observer.settings
    history = application.history.view(name, overview.at)
    autoscale, events, recorded = together(
        client,
        autoscale_now(of_server, overview.at),
        worker_events(of_server, history["first"]),
        observer.meters.of_workers([worker.id for worker in overview.workers]),
    )
    return {
        "at": overview.at,
        "range": name,
        "queues": [{**asdict(queue), "drain": queue.drain} for queue in overview.queues],
        "advice": [asdict(advice) for advice in _advice(application, overview, autoscale, search)],
        "workers": workers.rows(overview.workers, recorded),
        "tasks": _tasks(overview.workers),
        "empty": not overview.workers and not client.exists(of_server.key("batches")),
        "autoscale": autoscale,
        "history": {**history, "events": [asdict(event) for event in events]},
    }


def _advice(
    application: Any, overview: Overview, autoscale: dict[str, Any] | None, search: SearchAnswer
) -> Iterator[Advice]:
    """The advice on queues and workers, on messages that nobody takes, and on tasks that nobody knows."""
    queues, workers, cpu = overview.queues, overview.workers, application.server_cpu.percent
    reader = Reader(machine_id(), is_private=settings().redis_url is None)
    for queue in queues:
        is_autoscaled = autoscale is not None and queue.name in autoscale["queues"]
        yield advise(queue, queues, workers, cpu, replace(reader, is_autoscaled=is_autoscaled))
    yield from advise_on_names(workers)
    yield from advise_on_setups(workers)
    yield from advise_on_abandoned(overview.batches)
    unattended, tasks = search
    yield from advise_on_orphans(unattended)
    items = tasks_without_worker(overview.batches, workers, overview.at)
    yield from advise_on_unknown_tasks([*tasks, *items])


def _tasks(workers: list[LiveWorker]) -> list[dict[str, Any]]:
    """The tasks that live workers announce, by name: how many workers know each, in how many versions."""
    fingerprints: dict[str, list[str]] = {}
    for worker in workers:
        for task, fingerprint in worker.tasks.items():
            fingerprints.setdefault(task, []).append(fingerprint)
    return [
        {"task": task, "workers": len(versions), "versions": len(set(versions))}
        for task, versions in sorted(fingerprints.items())
    ]
