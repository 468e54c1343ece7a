"""How many messages this worker runs at once: as many as it started with, as others ask, or none while it drains."""

import logging
import threading
import time
from contextlib import suppress
from typing import Any

from celery.worker import state

from gristmill.batches.wish import NOTHING, Wish
from gristmill.errors import InputError, invalid_value
from gristmill.local.processes import STOPPED
from gristmill.worker.celery_internals import end_when_drained, in_loop, is_draining, members_of, processes_of, wake
from gristmill.worker.pool.equipment import pool_equipment
from gristmill.worker.pool.slot_tuner import MOST, SlotTuner, SlotUse, room_for
from gristmill.worker.pool.threads import ThreadTaskPool
from gristmill.worker.runs.rows import run_rows

#: Processes that start at once, at most: the worker has other things to do meanwhile.
STARTS_MOST = 16

log = logging.getLogger(__name__)


class PoolSize:
    """The size of this worker's pool, and whether it takes messages.

    A pool that shrinks ends no item: while more run than it should, chunks end at their next item, and a process ends
    once it is idle.
    """

    def __init__(self) -> None:
        self._worker: Any = None
        self._own = self.width = 0
        self._wish = NOTHING
        self._is_settled = True
        #: Held by whoever sets the worker's own number: the heartbeat, and the event loop for a command.
        self._lock = threading.Lock()
        #: Sets the number of slots while nobody asks for one; None where somebody gave it.
        self.tuner: SlotTuner | None = None

    def begin(self, worker: Any) -> None:
        """Note the size with which the worker starts."""
        self._worker = worker
        self._own = self.width = worker.concurrency

    @property
    def is_held(self) -> bool:
        """Whether the worker takes no messages, because somebody asks that of it."""
        return self._wish.is_held

    @property
    def slots(self) -> int:
        """How many messages the worker runs at once; 0 while it takes none."""
        return 0 if self.is_held else self.width

    def _follow(self) -> None:
        """Take over the size that Celery's own commands, or its autoscale, have given the pool."""
        with self._lock:
            if self._is_settled and self._wish.slots is None and self._worker.pool:
                # It has no number once it has ended.
                with suppress(AttributeError):
                    self._own = self.width = self._worker.pool.num_processes

    def change_by(self, more: int) -> int:
        """Give the worker so many more slots, or, where `more` is negative, fewer; return how many it will have.

        Raises:
            InputError: somebody else sets its slots, its pool cannot change, or none would be left.
        """
        if self._wish.slots is not None:
            raise InputError("`gristmill autoscale` sets the slots of this worker")
        if self.tuner is not None:
            raise InputError("this worker sets its slots itself: start it with a number, such as `gristmill up io=64`")
        if not isinstance(self._worker.pool, ThreadTaskPool) and processes_of(self._worker.pool) is None:
            raise InputError("the pool of this worker does not change its size")
        with self._lock:
            if not 0 < self._own + more <= MOST:
                expected = f"1 to {MOST:,} slots; `gristmill drain` has a worker take nothing"
                raise InputError(invalid_value("n", abs(more), expected))
            self._is_settled = False
            self._own += more
        log.info("asked for %d slots", self._own)
        in_loop(self._worker.hub, self._change)
        return self._own

    def messages(self) -> list[Any]:
        """The messages that run here; while the worker takes none, those too that are about to."""
        return members_of(state.reserved_requests if self.is_held else state.active_requests)

    def learn(self, wish: Wish) -> None:
        """Do what is asked of the worker, which the server says with each heartbeat."""
        self._follow()
        if wish != self._wish:
            log.info("asked for %s", _text(wish, self._own))
            self._wish, self._is_settled = wish, False
        if not self._is_settled:
            in_loop(self._worker.hub, self._change)
        elif wish.stop and self.is_held and not self.messages() and not is_draining():
            log.info("drained: this worker ends (asked by %s)", wish.drain)
            end_when_drained(STOPPED)
            wake(self._worker.hub)

    @property
    def tuning(self) -> str:
        """Why the worker has as many slots as it gave itself; empty where somebody else gave them."""
        return self.tuner.reason if self.tuner and self._wish.slots is None else ""

    def tune(self, items: int, machine_percent: float) -> None:
        """Come closer to the number of slots that brings the most `items`, of which so many have ended since the start.

        `machine_percent` of the machine's cores are busy. To be called once a second.
        """
        if self.tuner is None or self._wish != NOTHING or not self._is_settled or is_draining():
            return
        busy, room = len(self.messages()), room_for(self.width)
        now = SlotUse(time.monotonic(), self.width, busy, items, time.process_time(), machine_percent, room)
        slots = self.tuner.look(now)
        if slots != self.width:
            log.info("from %d to %d slots: %s", self.width, slots, self.tuner.reason)
            self._own, self._is_settled = slots, False
            in_loop(self._worker.hub, self._change)

    def _change(self) -> None:
        """Come closer to what is asked; each heartbeat calls this again until that is there."""
        try:
            self._is_settled = self._come_closer()
        except Exception as error:
            log.warning("cannot change the pool, trying again: %r", error)

    def _come_closer(self) -> bool:
        width = self._own if self._wish.slots is None else max(1, self._wish.slots)
        if width != self.width and self._resize(width):
            self.width = width
        consumer = self._worker.consumer
        self.hold(consumer)
        if self.is_held:
            consumer.give_up()
        if len(state.reserved_requests) >= self.slots:
            # What came now would wait here, and elsewhere a slot may be free.
            consumer.leave_request()
        processes = processes_of(self._worker.pool)
        is_sized = processes is None or processes.resize(self.width, STARTS_MOST)
        is_over = len(state.reserved_requests) > self.slots
        run_rows.stop(is_over or self.is_held or is_draining())
        return is_sized and not is_over

    def _resize(self, width: int) -> bool:
        """Have the pool run `width` messages at once; False if it is none of ours."""
        pool, consumer = self._worker.pool, self._worker.consumer
        if isinstance(pool, ThreadTaskPool):
            pool.resize(width)
        elif processes_of(pool) is None:
            return False
        run_rows.number(width)
        pool_equipment.resize(width)
        if consumer.initial_prefetch_count:
            consumer.initial_prefetch_count = width * consumer.prefetch_multiplier
            if consumer.qos:
                consumer.qos.value = consumer.initial_prefetch_count
                consumer.qos.update()
        return True

    def hold(self, consumer: Any) -> None:
        """Have a consumer, which may have connected anew, take messages or none."""
        if consumer.task_consumer:
            consumer.task_consumer.channel.qos.is_held = self.is_held


def _text(wish: Wish, own: int) -> str:
    if wish.drain:
        return f"no more messages (asked by {wish.drain})"
    return f"{own if wish.slots is None else wish.slots} slots"


pool_size = PoolSize()
