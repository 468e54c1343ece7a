"""The data of the Throughput page: the fleet now, the advice, and the history of a range."""

import threading
import time
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

from redis.exceptions import RedisError

from gristmill.broker.unattended_queues import Orphan, orphans
from gristmill.broker.unknown_tasks import UnknownTask, unknown_tasks
from gristmill.config.host import machine_id
from gristmill.config.settings import settings
from gristmill.dashboard import workers
from gristmill.dashboard.advice import Advice, advise
from gristmill.dashboard.advised_command import Reader
from gristmill.dashboard.asking import to_json
from gristmill.dashboard.warnings import (
    advise_on_abandoned,
    advise_on_names,
    advise_on_orphans,
    advise_on_setups,
    advise_on_unknown_tasks,
)
from gristmill.fleet.autoscale_seat import autoscale_now
from gristmill.fleet.overview import Overview
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.fleet.server_cpu import ServerCpu
from gristmill.fleet.unknown_tasks import tasks_without_worker
from gristmill.fleet.worker_events import worker_events

#: Seconds for which all visitors get the same answer.
FRESH_SECONDS = 0.9
#: Seconds between two searches for messages that nobody takes, or knows: each reads the names of all keys.
SEARCH_SECONDS = 30.0

_lock = threading.Lock()
_answers: dict[str, tuple[float, str]] = {}
#: The server's last silence: nobody waits for a second one, whatever range.
_failure: tuple[float, RedisError] | None = None


def data(application: Any, name: str) -> str:
    """The JSON of the page for the range `name`; made once a second, however many visitors ask.

    Raises:
        RedisError: the server does not answer; those who waited meanwhile are told so too.
    """
    global _failure  # noqa: PLW0603
    with _lock:
        at, answer = _answers.get(name, (0.0, ""))
        if time.monotonic() - at <= FRESH_SECONDS:
            return answer
        if _failure and time.monotonic() - _failure[0] <= FRESH_SECONDS:
            raise _failure[1]
        try:
            answer = to_json(_compute(application, name))
        except RedisError as error:
            _failure = time.monotonic(), error
            raise
        _answers[name] = time.monotonic(), answer
    return answer


def _compute(application: Any, name: str) -> dict[str, Any]:
    observer = application.observer
    overview: Overview = observer.look()
    cpu = server_cpu.percent(observer.fleet.client)
    items = tasks_without_worker(overview.batches, overview.workers, overview.at)
    watch.search(observer.fleet, [queue.name for queue in overview.queues])
    history = application.history.view(name, overview.at)
    events = worker_events(observer.fleet.client, observer.meters.settings, history["first"])
    history["events"] = [asdict(event) for event in events]
    autoscale = autoscale_now(observer.fleet.client, observer.meters.settings, overview.at)
    return {
        "at": overview.at,
        "range": name,
        "queues": [{**asdict(queue), "drain": queue.drain} for queue in overview.queues],
        "advice": [
            *(asdict(advice) for advice in _advice(overview, cpu, autoscale["queues"] if autoscale else ())),
            *(asdict(advice) for advice in advise_on_orphans(watch.orphans)),
            *(asdict(advice) for advice in advise_on_unknown_tasks([*watch.tasks, *items])),
        ],
        "workers": workers.rows(observer, overview.workers),
        "tasks": _tasks(overview.workers),
        "empty": not overview.workers and not observer.fleet.client.exists(observer.meters.settings.key("batches")),
        "autoscale": autoscale,
        "history": history,
    }


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


def _advice(overview: Overview, cpu: float, scaled: Collection[str]) -> list[Advice]:
    """The advice on queues and workers; `scaled` are the queues that autoscale acts on, so that nobody else has to."""
    reader = Reader(machine_id(), is_private=settings().redis_url is None)
    by_queue = [
        advise(queue, overview.queues, overview.workers, cpu, replace(reader, is_autoscaled=queue.name in scaled))
        for queue in overview.queues
    ]
    workers = [*advise_on_names(overview.workers), *advise_on_setups(overview.workers)]
    return [*by_queue, *workers, *advise_on_abandoned(overview.batches)]


class MessageWatch:
    """Messages that nobody takes, or whose task nobody knows, as the last search saw them."""

    def __init__(self) -> None:
        #: The queues whose messages nobody takes.
        self.orphans: list[Orphan] = []
        #: The tasks of messages that nobody knows.
        self.tasks: list[UnknownTask] = []
        self._next = 0.0

    def search(self, fleet: WorkerRegistry, queues: Collection[str]) -> None:
        """Search, at most every SEARCH_SECONDS; `queues` are those that have an advice of their own."""
        if time.monotonic() >= self._next:
            self.orphans = orphans(fleet.client, fleet.settings, queues)
            self.tasks = unknown_tasks(fleet.client, fleet.settings)
            self._next = time.monotonic() + SEARCH_SECONDS


server_cpu = ServerCpu()
watch = MessageWatch()
