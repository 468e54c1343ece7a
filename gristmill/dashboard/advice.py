"""The advice for a queue: a sentence that says what to do, and the command that does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from gristmill.batches.info import BatchInfo
from gristmill.broker.unattended_queues import Orphan
from gristmill.broker.unknown_tasks import UnknownTask
from gristmill.config.figures import duration, item_count
from gristmill.config.names import DASHBOARD, KINDS, worker_word
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker, namesakes, shared_name
from gristmill.fleet.setup_failures import setup_failures

#: A backlog that drains within so many seconds needs no advice; the slots to add should reach that.
TARGET_SECONDS = 60.0
#: The share of its slots that a busy queue keeps busy.
SUSTAINED = 0.8
#: Below this share of busy slots, more slots do not help.
IDLE = 0.6
#: Percent of a host's cores, and of the server's core, above which no core is free.
FULL, SERVER_FULL = 90.0, 80.0
#: Batches that the advice names one by one.
BATCHES_MOST = 3
#: Tasks that no worker knows, of which each has a warning.
TASKS_MOST = 5


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence about a queue; `command` is what to type, or None; `level` is `idle`, `ok`, `info` or `warning`."""

    queue: str
    text: str
    command: str | None = None
    level: str = "ok"


def advise(queue: QueueNow, queues: Sequence[QueueNow], workers: Sequence[LiveWorker], server_cpu: float) -> Advice:
    """The advice for `queue`, one of `queues`; the server uses `server_cpu` percent of one core."""
    if not queue.left:
        if queue.paused:
            return Advice(
                queue.name, f"{queue.name}: {item_count(queue.paused)} in paused batches.", "gristmill resume", "info"
            )
        return Advice(queue.name, f"{queue.name}: no item is left.", level="idle")
    if not queue.slots:
        what = item_count(queue.left, "wait")
        command = _start(queue, queues, workers, 1)
        return Advice(queue.name, f"No worker takes items from {queue.name}: {what}. Start one:", command, "warning")
    left = f"{queue.name}: {item_count(queue.left)} left"
    if queue.drain is None:
        return _standing(queue, left)
    left += f", {duration(queue.drain)} at this rate."
    if queue.drain <= TARGET_SECONDS:
        return Advice(queue.name, left, level="ok")
    if queue.used < IDLE:
        return Advice(queue.name, f"{left} {_idle(queue, server_cpu)}", level="info")
    return _more(queue, queues, workers, left)


def advise_on_names(workers: Sequence[LiveWorker]) -> list[Advice]:
    """A warning for each node name that several workers share."""
    return [
        Advice(several[0].queue, f"{shared_name(name, several)}.", level="warning")
        for name, several in namesakes(workers).items()
    ]


def advise_on_abandoned(batches: Sequence[BatchInfo]) -> list[Advice]:
    """Warnings that name the batches whose producer is gone before the end of their input, the first three of them."""
    abandoned = [info for info in batches if info.abandoned_at is not None]
    first, others = abandoned[:BATCHES_MOST], abandoned[BATCHES_MOST:]
    advice = [Advice(info.queue, f"Batch {info.name} is {info.abandonment()}.", level="warning") for info in first]
    if others:
        advice.append(Advice(others[0].queue, f"{len(others):,} more are abandoned.", "gristmill batches", "warning"))
    return advice


def advise_on_orphans(orphans: Sequence[Orphan]) -> list[Advice]:
    """A warning that names the queues whose messages nobody takes, and how many messages; none without such queues."""
    if not orphans:
        return []
    counts = ", ".join(f"{orphan.messages:,} on the {orphan.kind} of {orphan.queue}" for orphan in orphans)
    return [Advice(orphans[0].queue, f"No worker here takes these messages: {counts}.", "gristmill doctor", "warning")]


def advise_on_unknown_tasks(tasks: Sequence[UnknownTask]) -> list[Advice]:
    """A warning for each task that waits on a queue whose workers do not know it, for the first ones."""
    return [
        Advice(
            task.queue,
            f"No worker on {task.queue} knows task {task.task}: {task.number:,} {task.what} wait, "
            f"the oldest for {duration(task.seconds)}.",
            "gristmill doctor",
            "warning",
        )
        for task in tasks[:TASKS_MOST]
    ]


def advise_on_setups(workers: Sequence[LiveWorker]) -> list[Advice]:
    """A warning for each task whose setup fails on workers, for the first ones."""
    return [
        Advice(one.queue, f"{one.queue}: {one}.", "gristmill doctor", "warning")
        for one in setup_failures(workers)[:TASKS_MOST]
    ]


def _standing(queue: QueueNow, left: str) -> Advice:
    if queue.busy:
        return Advice(
            queue.name,
            f"{left}; {queue.busy} of {queue.slots} slots are busy, and none has finished an item yet.",
            level="info",
        )
    return Advice(
        queue.name,
        f"{left}, and no slot is busy: the items may be waiting for another attempt.",
        "gristmill doctor",
        "warning",
    )


def _idle(queue: QueueNow, server_cpu: float) -> str:
    if server_cpu >= SERVER_FULL:
        why = "the server is the bottleneck"
    elif queue.submitting:
        why = "the producer is the bottleneck"
    else:
        why = "the items wait for something else, such as the rate limit of `fetch` or another attempt"
    return f"More workers won't help: slots are {queue.used:.0%} busy, and {why}.".replace("%", " %")


def _more(queue: QueueNow, queues: Sequence[QueueNow], workers: Sequence[LiveWorker], left: str) -> Advice:
    drain = queue.drain or 0.0
    more = max(1, ceil(queue.left / TARGET_SECONDS * queue.seconds / SUSTAINED) - queue.slots)
    hosts = {worker.host: worker for worker in workers if worker.queue == queue.name}
    free = sum(worker.cores * (1 - worker.cpu / 100) for worker in hosts.values() if worker.cpu < FULL)
    if hosts and all(worker.cpu >= FULL for worker in hosts.values()):
        which = f"host {next(iter(hosts))}" if len(hosts) == 1 else f"all {len(hosts)} hosts"
        command = f"GRISTMILL_REDIS_URL=… gristmill up {_word(queue)}"
        return Advice(queue.name, f"{left} All cores of {which} are busy. Add a host:", command, "warning")
    if queue.kind == "cpu":
        more = min(more, max(1, int(free)))
    then = drain * queue.slots / (queue.slots + more)
    goal = "under 1 minute" if then <= TARGET_SECONDS else f"to {duration(then)}"
    slots = "1 more slot" if more == 1 else f"{more:,} more slots"
    command = _start(queue, queues, workers, more)
    how = "Restart with" if command.startswith(("gristmill up --", f"gristmill up {DASHBOARD}")) else "Type"
    return Advice(queue.name, f"{left} {slots} would bring that {goal}. {how}:", command, "info")


def _start(queue: QueueNow, queues: Sequence[QueueNow], workers: Sequence[LiveWorker], more: int) -> str:
    """The command that adds `more` slots to `queue`, and changes no other queue."""
    if any(worker.container for worker in workers):
        return _compose(queue, queues, more)
    hosts = {worker.host for worker in workers}
    if not workers:
        return "gristmill up" if queue.name in KINDS else f"gristmill up {' '.join(KINDS)} {DASHBOARD} {_word(queue)}"
    if len(hosts) > 1:
        return f"gristmill up {_word(queue)}={more}"
    # A worker that starts anew has as many slots as the settings give it.
    slots = {_word(other): other.slots for other in queues if other.slots} | {
        _word(queue): queue.slots and queue.slots + more
    }
    if slots.keys() <= {*KINDS}:
        parts = [f"--{word}-slots {number}" for word, number in sorted(slots.items()) if number]
    else:
        parts = [DASHBOARD, *(f"{word}={number}" if number else word for word, number in sorted(slots.items()))]
    return " ".join(["gristmill up", *parts])


def _word(queue: QueueNow) -> str:
    return worker_word(queue.name, queue.kind)


def _compose(queue: QueueNow, queues: Sequence[QueueNow], more: int) -> str:
    """The command with every service's count: Compose resets a service without one to the count in its file."""
    scale = {other.name: other.workers for other in queues if other.name in KINDS or other.workers}
    each = queue.slots / queue.workers if queue.workers else 1
    scale[queue.name] = queue.workers + ceil(more / each)
    return " ".join(
        ["docker compose up -d --no-recreate", *(f"--scale {name}={number}" for name, number in sorted(scale.items()))]
    )
