"""The warnings of the Throughput page: of names, producers, messages, tasks and setups, each with a command or none."""

from collections.abc import Sequence

from gristmill.batches.info import BatchInfo
from gristmill.broker.unattended_queues import Orphan
from gristmill.broker.unknown_tasks import UnknownTask
from gristmill.config.figures import count, duration
from gristmill.dashboard.advice import Advice
from gristmill.fleet.registry import LiveWorker, namesakes, shared_name
from gristmill.fleet.setup_failures import setup_failures

#: Batches that the advice names one by one.
BATCHES_MOST = 3
#: Tasks that no worker knows, of which each has a warning.
TASKS_MOST = 5


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
        advice.append(
            Advice(
                others[0].queue,
                f"{len(others):,} more {'is' if len(others) == 1 else 'are'} abandoned.",
                "gristmill batches",
                "warning",
            )
        )
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
            f"No worker on {task.queue} knows task {task.task}: {_waiting(task)}, "
            f"the oldest for {duration(task.seconds)}.",
            "gristmill doctor",
            "warning",
        )
        for task in tasks[:TASKS_MOST]
    ]


def _waiting(task: UnknownTask) -> str:
    number = count(task.number, task.what.removesuffix("s"))
    return f"{number} {'waits' if task.number == 1 else 'wait'}"


def advise_on_setups(workers: Sequence[LiveWorker]) -> list[Advice]:
    """A warning for each task whose setup fails on workers, for the first ones."""
    return [
        Advice(one.queue, f"{one.queue}: {one}.", "gristmill doctor", "warning")
        for one in setup_failures(workers)[:TASKS_MOST]
    ]
