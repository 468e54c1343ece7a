"""`gristmill doctor`."""

import platform
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress

from redis import Redis

from gristmill.batches.info import BatchInfo
from gristmill.batches.info_cache import InfoCache
from gristmill.broker.unattended_queues import orphans
from gristmill.broker.unknown_tasks import unknown_tasks
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import show
from gristmill.cli.findings import repair
from gristmill.cli.findings.data_root import data_root, shared_root
from gristmill.cli.findings.finding import Finding
from gristmill.cli.findings.server import server_findings
from gristmill.cli.notice import notice_findings
from gristmill.config import environment
from gristmill.config.figures import duration
from gristmill.config.names import KINDS, worker_word
from gristmill.config.settings import Settings, settings, variable
from gristmill.errors import GristmillError, ServerError
from gristmill.fleet.overview import KIND_OF_POOL
from gristmill.fleet.registry import LiveWorker, WorkerRegistry, namesakes, shared_name, unwatched_workers
from gristmill.fleet.setup_failures import setup_failures
from gristmill.fleet.unknown_tasks import tasks_without_worker
from gristmill.producer.task_versions import task_versions
from gristmill.producer.worker_checks import live_workers, other_version
from gristmill.server.connection import client, reaching
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind


@new_command("doctor")
@repair.option
@options.as_json
@options.quiet
def command(target: str | None, as_json: bool) -> int:
    """Check the server, the workers and the settings: each line is OK or says what to do (exit 1).

    \b
    Examples:
      gristmill doctor
      gristmill doctor --repair nightly
      gristmill doctor --json | jq 'select(.advice != "OK")'
    """
    findings = [*_settings(), Finding("python", f"{platform.python_version()}, {sys.executable}"), *_task_modules()]
    failure: ServerError | None = None
    try:
        with reaching():
            findings.append(data_root())
            findings += _server(client())
            findings += repair.examine(client()) if target is None else repair.mend(client(), target)
    except ServerError as error:
        failure = error
        findings.append(Finding("server", "not reached", str(error)))
    rows = [{"check": f.check, "state": f.state, "advice": f.advice or "OK"} for f in findings]
    show(["check", "state", "advice"], rows, as_json=as_json, fold="state advice")
    return failure.exit_code if failure else int(any(finding.advice for finding in findings))


def _settings() -> Iterator[Finding]:
    strangers = environment.unknown(Settings.model_fields)
    for name, near in strangers:
        yield Finding("settings", name, f"no setting has this name{f': did you mean {near}?' if near else ''}")
    if not strangers:
        yield Finding("settings", f"home {settings().home}")


def _task_modules() -> Iterator[Finding]:
    try:
        tasks = catalog.catalog()
        counts = Counter(source if source == "shipped" else f"from {source}" for source in tasks.sources.values())
        yield Finding("tasks", ", ".join(f"{count} {origin}" for origin, count in counts.items()))
        for module in tasks.empty_modules:
            yield Finding("tasks", f"{module.name} ({module.source})", catalog.no_task_in(module))
    except GristmillError as error:
        yield Finding("tasks", "not all are known", str(error))


def _server(server: Redis) -> Iterator[Finding]:
    yield from server_findings(server)
    workers, batches = live_workers(), InfoCache(server, settings()).active()
    queues = _queues(workers, batches)
    left = Counter[str]()
    for info in batches:
        left[info.queue] += info.left
    yield from shared_root(server, workers)
    yield from _workers(server, workers, queues, left)
    yield from _orphans(server, queues)
    yield from _unknown_tasks(server, workers, batches)
    yield from notice_findings(server)


def _queues(workers: list[LiveWorker], batches: list[BatchInfo]) -> dict[str, str]:
    """The queues of this host's tasks, of the workers and of the batches that have not ended, with the kind of each."""
    queues = {str(kind): str(kind) for kind in Kind}
    # Another line says which module cannot be imported.
    with suppress(GristmillError):
        queues |= {task.queue_name: str(task.kind) for task in catalog.load().values()}
    of_workers = [(worker.queue, KIND_OF_POOL.get(worker.pool, "")) for worker in workers if worker.queue]
    for queue, kind in [*of_workers, *((batch.queue, batch.kind) for batch in batches)]:
        queues.setdefault(queue, kind)
    return queues


def _orphans(server: Redis, queues: Collection[str]) -> Iterator[Finding]:
    advice = {
        "stream": "start a worker on this queue; if workers of stock Celery are to take its messages, name it in "
        + variable("stock_queues"),
        "list": f"if no worker of stock Celery takes them, set {variable('take_lists')}=true",
        "other": "a key has the name of the queue's list but another type: rename it before stock Celery sends there",
    }
    for queue, kind, number in orphans(server, settings(), queues):
        yield Finding(f"queue {queue}", f"messages on a {kind} that no worker here takes: {number}", advice[kind])


def _unknown_tasks(server: Redis, workers: list[LiveWorker], batches: list[BatchInfo]) -> Iterator[Finding]:
    items = tasks_without_worker(batches, workers, time.time())
    for task in [*unknown_tasks(server, settings()), *items]:
        number = f"{task.number:,} {task.what} for {duration(task.seconds)}"
        advice = "start a worker that has its module (GRISTMILL_TASK_MODULES)"
        if task.what == "messages":
            after = duration(settings().unknown_task_seconds)
            advice += f"; messages become dead letters after {after} ({variable('unknown_task_seconds')})"
        yield Finding(f"queue {task.queue}", f"no worker knows task {task.task!r}: {number}", advice)


def _workers(server: Redis, workers: list[LiveWorker], queues: dict[str, str], left: Counter[str]) -> Iterator[Finding]:
    for queue, kind in queues.items():
        here = [worker for worker in workers if worker.queue == queue]
        waiting = WorkerRegistry(server, settings()).waiting(queue)
        slots = sum(worker.slots for worker in here)
        state = f"workers: {len(here)}, slots: {slots}, items left: {left[queue]}, messages waiting: {waiting}"
        # A host that has a task need not have work for its queue.
        needs_worker = not here and (queue in KINDS or left[queue] or waiting)
        advice = f"no worker listens: gristmill up {worker_word(queue, kind)}" if needs_worker else ""
        yield Finding(f"queue {queue}", state, advice)
    yield from _watch(server)
    for name, several in namesakes(workers).items():
        yield Finding("workers", f"{len(several)} of one name", shared_name(name, several))
    for failure in setup_failures(workers):
        advice = (
            "mend it, or what it needs there: workers try again by themselves within a minute (their log says more)"
        )
        yield Finding(f"queue {failure.queue}", str(failure), advice)
    yield from _versions(server, workers)


def _watch(server: Redis) -> Iterator[Finding]:
    """Whether others see each worker die, or have to wait until its lease ends."""
    number, problems = unwatched_workers(server, settings().prefix)
    advice = (
        f"what such a worker holds comes back when its lease of {settings().lease_seconds:g} s ends; to have it back "
        f"within a second, allow the workers' user SUBSCRIBE on {settings().prefix}gm1:alive:* and PUBSUB NUMSUB, over "
        "RESP3 and without a proxy"
    )
    for problem, count in Counter(problems.values()).items():
        yield Finding("death of a worker", f"{count} of {number} workers cannot be watched: {problem}", advice)
    if number and not problems:
        yield Finding("death of a worker", f"{number} workers watched: their work is back within a second")


def _versions(server: Redis, workers: list[LiveWorker]) -> Iterator[Finding]:
    """The tasks of which workers have several versions, and those of which all have another one than this host."""
    several = set()
    for task, versions, advice in task_versions(server, workers):
        several.add(task)
        yield Finding("tasks", f"{task!r} in {versions} versions", advice)
    try:
        tasks = catalog.load()
    except GristmillError:
        # Another line says so.
        return
    for name, own in tasks.items():
        for advice in other_version(own, workers) if name not in several else []:
            yield Finding("tasks", f"{name!r} differs between this host and the workers", advice)
