"""A pool of processes in which short messages travel in lots, several in one write.

The run times of a task's last calls say whether a message is short. What goes in one lot is expected to end within
LOT_SECONDS, so it hardly waits longer than for a process that becomes idle. A process that does not report for
RECALL_SECONDS gives the messages back that it has not begun.
"""

from dataclasses import dataclass
from math import ceil, inf
from time import monotonic
from typing import Any

from celery.concurrency.asynpool import SCHED_STRATEGY_FAIR

from gristmill.server.readable import is_readable
from gristmill.worker.celery_internals import ProcessPool, is_running
from gristmill.worker.pool.celery_internals import GivingPool

#: Seconds that the messages of a lot are expected to take together, and the most messages and bytes of a lot.
LOT_SECONDS, LOT_MOST, LOT_BYTES = 0.005, 32, 32_768
#: Seconds after which a process that does not report gives back what it has not begun.
RECALL_SECONDS = 0.01
#: The weight of the last run in the mean of a task's run times.
WEIGHT = 0.125
#: A shorter time limit, in seconds, might hit the next message of a lot: its message travels alone.
LIMIT_LEAST = 60.0


@dataclass
class Lot:
    """A lot that a process has: the jobs behind the first one, and when the process last reported (monotonic s)."""

    process: Any
    others: list[Any]
    reported_at: float


class LotPool(GivingPool):
    """Celery's pool of processes, with lots. Everything else about a message is as in Celery's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lots: dict[int, Lot] = {}
        self._run_seconds: dict[str, float] = {}
        self._timer: Any = None
        # A process that is replaced gives back what it has not begun.
        runs = kwargs.get("maxtasksperchild")
        self._most = LOT_MOST if runs is None else min(LOT_MOST, max(1, runs // 8))
        super().__init__(*args, **{**kwargs, "sched_strategy": SCHED_STRATEGY_FAIR})

    def apply_async(self, func: Any, args: Any = (), *others: Any, **options: Any) -> Any:
        """Have a process call `func`, whose first argument is the name of a task; the job, None if the pool closes."""
        job = super().apply_async(func, args, *others, **options)
        if job is not None:
            limits = self.limits_of(job)
            is_short = all(limit is None or limit >= LIMIT_LEAST for limit in limits)
            # One that waits for its time in the process would hold up the others of its lot.
            waits = len(args) > 2 and args[2].get("eta")
            job.task_name = args[0] if args and is_short and not waits else ""
            job.is_dropped = getattr(self.request_of(options), "is_dropped", bool)
        return job

    def note_end(self, job: Any, answer: Any) -> None:
        """Note for how long a task ran."""
        match answer:
            case (True, (_, _, float(seconds))):
                mean = self._run_seconds.get(job.task_name, seconds)
                self._run_seconds[job.task_name] = mean + WEIGHT * (seconds - mean)

    def give(self, descriptors: Any) -> None:
        """Give each idle process its share of the messages that wait, as far as they are short."""
        idle = [descriptor for descriptor in descriptors if self.is_idle(descriptor)]
        for place, descriptor in enumerate(idle):
            jobs = self._next_lot(ceil(len(self.outbound_buffer) / (len(idle) - place)))
            if len(jobs) > 1:
                process = self.give_lot(descriptor, jobs)
                self._lots[descriptor] = Lot(process, jobs[1:], monotonic())
                self._watch()
            elif jobs:
                self.outbound_buffer.appendleft(jobs[0])
                self.give_one([descriptor])
        # Celery stops to watch the descriptors of processes that are gone.
        self.give_one([descriptor for descriptor in descriptors if descriptor not in idle])

    def _next_lot(self, share: int) -> list[Any]:
        jobs: list[Any] = []
        seconds, size = 0.0, 0
        while self.outbound_buffer and len(jobs) < min(share, self._most):
            job = self.outbound_buffer[0]
            if job.is_dropped():
                job.discard()
            elif not self.has_begun(job):
                seconds += self._run_seconds.get(job.task_name, inf) if job.task_name else inf
                size += self.size_of(job)
                if jobs and (seconds > LOT_SECONDS or size > LOT_BYTES):
                    break
                jobs.append(job)
            self.outbound_buffer.popleft()
        return jobs

    def note_report(self, descriptor: int, is_idle: bool) -> None:
        """Note that a process has reported an end."""
        if is_idle:
            self._lots.pop(descriptor, None)
        elif lot := self._lots.get(descriptor):
            lot.reported_at = monotonic()

    def _watch(self) -> None:
        # Celery cancels timers when it reconnects.
        if self._timer is None or self._timer.canceled:
            self._timer = self.hub.call_later(RECALL_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        silent_since = monotonic() - RECALL_SECONDS
        for descriptor, lot in list(self._lots.items()):
            if not is_running(lot.process):
                del self._lots[descriptor]
            elif lot.reported_at <= silent_since and not is_readable(lot.process.outqR_fd):
                self._recall(descriptor)
        if self._lots:
            self._watch()

    def _recall(self, descriptor: int) -> None:
        lot = self._lots.pop(descriptor)
        # What a process has not begun at its death is given to another one by Celery.
        if is_running(lot.process) and (number := lot.process.tickets.take(len(lot.others))):
            self.take_back(lot.others[-number:])


class LotTaskPool(ProcessPool):
    """Celery's prefork pool, made of LotPool."""

    Pool = LotPool
    #: All messages that the worker has taken wait in the pool, which asks of each whether it was revoked meanwhile.
    uses_semaphore = False
