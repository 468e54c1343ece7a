"""The loop of autoscale: looks, decides, stores what it decided, and makes it so."""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from redis import Redis
from redis.exceptions import RedisError

from gristmill.config.settings import Settings
from gristmill.errors import GristmillError
from gristmill.fleet.autoscale_seat import Seat, Status
from gristmill.fleet.autoscaling import Aim, Bounds, Past, decide, time_for
from gristmill.fleet.overview import Observer, Overview
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.scaling import Limit, Plan, plan, slots_for, start_seconds
from gristmill.fleet.server_cpu import ServerCpu
from gristmill.local.reach import Reach


class Autoscaler:
    """Gives each queue of `bounds` as many slots as have its batches done in time. `say` gets a line for each change.

    What it has decided is on the server, and it goes on from there, whoever decided it.
    """

    def __init__(
        self,
        client: Redis,
        settings: Settings,
        reach: Reach,
        bounds: Mapping[str, tuple[int, int]],
        aim: Aim,
        say: Callable[[str], None],
    ) -> None:
        self._reach, self._bounds, self._aim, self._say = reach, bounds, aim, say
        self._observer, self._cpu = Observer(client, settings), ServerCpu()
        self._seat = Seat(client, settings, f"{socket.gethostname()} (pid {os.getpid()})")
        self._change: threading.Thread | None = None
        self._standing_by = self._failure = ""
        self._cpu_percent = 0.0

    def step(self) -> None:
        """Look once, and act if no other autoscale does.

        Raises:
            RedisError, GristmillError: the server cannot be reached.
        """
        other, status = self._seat.take()
        if other:
            if other != self._standing_by:
                self._say(f"autoscale of {other} acts: this one stands by")
            self._standing_by = other
            return
        if self._standing_by:
            self._say(f"autoscale of {self._standing_by} is gone: this one acts")
            self._standing_by = ""
        overview = self._observer.look()
        self._cpu_percent = self._cpu.percent(self._observer.fleet.client)
        queues = {queue: self._decide(queue, overview, status.queues.get(queue)) for queue in self._bounds}
        for queue, past in queues.items():
            before = status.queues.get(queue)
            if before is None or before.slots != past.slots:
                change = f"{past.slots:,}" if before is None else f"{before.slots:,} to {past.slots:,}"
                self._say(f"{queue}: {change} slots: {past.reason}")
        self._seat.take(Status(overview.at, self._reach.name, self._aim.target, self._aim.idle, self._failure, queues))
        self._make_so({queue: past.slots for queue, past in queues.items()}, overview)

    def leave(self) -> None:
        """Let another autoscale act; the slots stay as they are."""
        if not self._standing_by:
            self._seat.leave()

    def _decide(self, name: str, overview: Overview, past: Past | None) -> Past:
        queue = self._with_messages(next(one for one in overview.queues if one.name == name))
        mine = sum(worker.slots for worker in self._reach.workers(overview.workers) if worker.queue == name)
        if past is None:
            past = Past(slots=mine, reason="as it was found")
        least, most = self._bounds[name]
        past = replace(past, step=self._reach.step(name, overview.workers, past.step))
        bounds = Bounds(least, most, past.step)
        plans = partial(self._plan, queue, overview, max(0, queue.slots - mine))
        seconds = time_for(queue, overview.batches, overview.at, self._aim.target)
        return decide(queue, plans, past, overview.at, bounds, seconds, self._aim)

    def _with_messages(self, queue: QueueNow) -> QueueNow:
        """Plain Celery messages are work too, of which nobody knows how long it takes."""
        if queue.left:
            return queue
        return replace(queue, left=self._observer.fleet.waiting(queue.name))

    def _plan(self, queue: QueueNow, overview: Overview, others: int, target: float) -> Plan:
        """The plan of a queue, without the slots that it has elsewhere."""
        planned = plan(queue, overview.queues, overview.workers, self._cpu_percent, target)
        if self._reach.is_elastic and planned.limit in (Limit.CORES, Limit.MEMORY):
            slots = slots_for(queue, target, start_seconds(queue, overview.workers))
            planned = replace(planned, slots=max(slots, planned.slots))
        return replace(planned, slots=max(0, planned.slots - others))

    def _make_so(self, slots: Mapping[str, int], overview: Overview) -> None:
        """Make it so, beside this loop: a command may take longer than the seat lasts without a sign of life."""
        if self._change is None or not self._change.is_alive():
            self._change = threading.Thread(target=self._apply, args=(slots, overview), daemon=True)
            self._change.start()

    def _apply(self, slots: Mapping[str, int], overview: Overview) -> None:
        failure = ""
        try:
            self._reach.apply(slots, overview.workers)
        except (RedisError, GristmillError) as error:
            failure = str(error)
        if failure and failure != self._failure:
            self._say(f"cannot scale, trying again: {failure}")
        self._failure = failure
