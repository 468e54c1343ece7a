"""Which slots autoscale gives each queue: what the fleet does, within bounds, by what was decided before."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from gristmill.fleet.autoscaling import Aim, Bounds, Past, decide, time_for
from gristmill.fleet.overview import Overview
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.scaling import Limit, Plan, plan, slots_for, start_seconds
from gristmill.local.reach import Reach


class SlotChoice:
    """Chooses the slots of each queue of `bounds`, which `reach` grows and shrinks, for `aim`.

    `waiting` counts the plain messages on a queue.
    """

    def __init__(
        self, reach: Reach, bounds: Mapping[str, tuple[int, int]], aim: Aim, waiting: Callable[[str], int]
    ) -> None:
        self._reach, self._bounds, self._aim, self._waiting = reach, bounds, aim, waiting

    def next(self, overview: Overview, server_cpu: float, pasts: Mapping[str, Past]) -> dict[str, Past]:
        """What to do about each queue after `pasts`; the server uses `server_cpu` percent of a core."""
        return {queue: self._of(queue, overview, server_cpu, pasts.get(queue)) for queue in self._bounds}

    def _of(self, name: str, overview: Overview, server_cpu: float, past: Past | None) -> Past:
        queue = self._with_messages(next(one for one in overview.queues if one.name == name))
        mine = sum(worker.slots for worker in self._reach.workers(overview.workers) if worker.queue == name)
        if past is None:
            past = Past(slots=mine, reason="as it was found")
        least, most = self._bounds[name]
        step = self._reach.step(name, overview.workers, past.step)
        past = _with_start(replace(past, step=step), mine, overview.at)
        bounds = Bounds(least, most, step)
        start = start_seconds(queue, overview.workers) if past.start is None else past.start
        plans = partial(self._plan, overview, server_cpu, start, max(0, queue.slots - mine))
        seconds = time_for(queue, overview.batches, overview.at, self._aim.target)
        return decide(queue, plans, past, overview.at, bounds, seconds, self._aim)

    def _with_messages(self, queue: QueueNow) -> QueueNow:
        """Plain Celery messages are work too, of which nobody knows how long it takes."""
        return queue if queue.left else replace(queue, left=self._waiting(queue.name))

    def _plan(
        self,
        overview: Overview,
        server_cpu: float,
        start: float,
        others: int,
        queue: QueueNow,
        target: float,
        ordered: float,
    ) -> Plan:
        """The plan of a queue, without the `others`, its slots elsewhere.

        New slots take `start` seconds to come, and were ordered `ordered` seconds ago.
        """
        start = max(0.0, start - ordered)
        planned = plan(queue, overview.queues, overview.workers, server_cpu, target, start)
        if self._reach.is_elastic and planned.limit in (Limit.CORES, Limit.MEMORY):
            planned = replace(planned, slots=max(slots_for(queue, target, start), planned.slots))
        return replace(planned, slots=max(0, planned.slots - others))


def _with_start(past: Past, present: int, at: float) -> Past:
    """Note how long new slots took to come, once they are there: less than a worker takes to start, or more.

    Slots that go away and come back later, as those of a worker that starts anew, tell nothing of that.
    """
    if not past.coming or present < past.slots:
        return past
    return replace(past, coming=False, start=at - past.changed_at)
