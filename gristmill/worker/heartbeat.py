"""The worker's heartbeat: once a second it tells the fleet that the worker is alive, and which chunks it holds."""

import logging
import os
import random
import socket
import time
from collections import deque
from collections.abc import Iterator
from functools import cache
from math import ceil, inf
from typing import Any

from celery.bootsteps import StartStopStep
from celery.concurrency import get_implementation
from celery.signals import worker_ready, worker_shutdown
from celery.worker import state
from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import settings
from gristmill.fleet import watcher
from gristmill.fleet.registry import WorkerRegistry
from gristmill.fleet.worker_id import worker_id
from gristmill.local.orphans import REAP_SECONDS, Reaper
from gristmill.server.connection import client
from gristmill.server.heartbeat import PeriodicCall, heartbeat_of
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind
from gristmill.worker.admission import needs_of
from gristmill.worker.celery_internals import (
    ThreadPool,
    is_draining,
    members_of,
    pool_of,
    processes_of,
    taken_requests,
)
from gristmill.worker.host_load import HostLoad
from gristmill.worker.kills import Kills
from gristmill.worker.pool.size import pool_size
from gristmill.worker.programs.journal_sweep import SWEEP_SECONDS, JournalSweep
from gristmill.worker.remote_control import add_commands
from gristmill.worker.runs.rows import run_rows
from gristmill.worker.slot.chunk_task import MESSAGE_VERSION, run_chunk
from gristmill.worker.stopped_processes import end_stopped_processes
from gristmill.worker.task_counts import task_counts
from gristmill.worker.upkeep.mending import MEND_SECONDS, Mender
from gristmill.worker.upkeep.notifier import Notifier
from gristmill.worker.upkeep.scheduler import Scheduler
from gristmill.worker.upkeep.value_sweeper import ValueSweeper

HEARTBEAT_SECONDS = 1.0
RATE_SECONDS = 10
#: Seconds for which the worker's event loop may hang, and take no messages, before the heartbeat stops.
STUCK_SECONDS = 30.0

log = logging.getLogger(__name__)


class WorkerHeartbeat(StartStopStep):
    """Tells the fleet once a second that this worker is alive, and which chunks it holds."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Send heartbeats as soon as the worker consumes messages."""
        self.worker = worker
        self.id = worker_id(worker.hostname)
        self.kills = Kills(worker)
        if settings().meters:
            task_counts.begin()
        pool_size.begin(worker)
        add_commands(worker.consumer)
        self._mark_turn()
        if worker.hub:
            # No timer of its own, which would wake the loop: it turns at least every few seconds.
            worker.hub.on_tick.add(self._mark_turn)
        self.history: deque[tuple[float, int]] = deque(maxlen=RATE_SECONDS + 1)
        self.is_announced = False
        self.value_sweeper = ValueSweeper()
        self.pacing = PeriodicCall("pacing", inf, self._pace)
        worker_ready.connect(self._begin, weak=False)

    def _begin(self, **_: Any) -> None:
        self.load = HostLoad()
        self.heartbeat = heartbeat_of(client())
        server = self.heartbeat.client
        self.ledger, self.registry = Ledger(server, settings()), WorkerRegistry(server, settings())
        self.scheduling = PeriodicCall("scheduling", inf, Scheduler(server, settings()).step)
        self.notices = PeriodicCall("notices", inf, Notifier(server, client(), settings()).step)
        self.calls = [
            PeriodicCall("worker", HEARTBEAT_SECONDS, self._send, self._announce_again),
            PeriodicCall("mending", MEND_SECONDS, Mender(server, settings()).step),
            self.scheduling,
            self.notices,
            PeriodicCall("journals", SWEEP_SECONDS, JournalSweep(client(), settings()).look),
        ]
        if issubclass(self.worker.pool_cls, ThreadPool):
            self.calls.append(PeriodicCall("orphans", REAP_SECONDS, Reaper().step))
        # Only the start has needed these connections.
        client().connection_pool.disconnect(inuse_connections=False)
        self.heartbeat.add(*self.calls)
        self.value_sweeper.start()
        worker_shutdown.connect(self._leave, weak=False)

    def _send(self) -> None:
        if self._stuck():
            return
        if not self.is_announced:
            self.registry.announce(self.id, {name: task.announcement for name, task in catalog.load().items()})
            self.is_announced = True
        if (processes := processes_of(self.worker.pool)) is not None:
            # A plain Celery task has no row: its own time limit counts.
            plain = {each.worker_pid for each in members_of(state.active_requests) if each.name != run_chunk.name}
            end_stopped_processes({process.pid for process in pool_of(processes)} - plain)
        ended = self.kills.ended()
        chunks, runs = unacknowledged_chunks(), run_rows.slowest()
        counts = task_counts.collect() if settings().meters else None
        try:
            answer = self.ledger.heartbeat(self.id, self._describe(), chunks, ended, runs, counts)
        except Exception:
            task_counts.put_back(counts or ())
            raise
        self.kills.learn(answer.kills, ended)
        pool_size.learn(answer.wish)
        pool_size.tune(answer.items, self.load.machine_percent)
        self._pace_in(answer.pace_ms)
        if answer.is_new and self.history:
            # It counted as dead, and its tasks went with its entry.
            self._announce_again()
        self.history.append((time.monotonic(), answer.items))
        watcher.tell(is_lacking=answer.has_seat or answer.is_new)
        for is_due, call in ((answer.has_schedules, self.scheduling), (answer.has_notices, self.notices)):
            if is_due:
                self.heartbeat.hasten(call, 0)

    def _pace(self) -> None:
        self._pace_in(self.ledger.pace())

    def _pace_in(self, milliseconds: int) -> None:
        if milliseconds >= 0:
            # At other moments than the other workers.
            seconds = milliseconds / 1000 * random.uniform(0.75, 1.25)  # noqa: S311 (jitter)
            self.heartbeat.hasten(self.pacing, seconds)

    def _announce_again(self) -> None:
        # The server may have lost its data.
        self.is_announced = False

    def _mark_turn(self) -> None:
        self.last_turn = time.monotonic()

    def _stuck(self) -> bool:
        # Else the thread would send heartbeats for ever beside a loop that hangs. A loop that has ended drains.
        looping = self.worker.hub and state.should_stop is None
        return bool(looping and time.monotonic() - self.last_turn > STUCK_SECONDS)

    def _describe(self) -> dict[str, Any]:
        worker = self.worker
        queues = list(worker.app.amqp.queues.consume_from)
        rate = 0.0
        if len(self.history) > 1:
            (then, before), (now, after) = self.history[0], self.history[-1]
            rate = round(max(0, after - before) / (now - then), 2)
        slots = pool_size.slots
        needs = [needs_of(request) for request in pool_size.messages()]
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queue": next((str(kind) for kind in Kind if str(kind) in queues), queues[0] if queues else ""),
            "pool": pool_name(worker.pool_cls),
            "slots": slots,
            "tuning": pool_size.tuning,
            "async_items": ceil(settings().async_slots / max(pool_size.width, 1)),
            "draining": pool_size.is_held or is_draining(),
            "busy": sum(each.slots for each in needs),
            "reserved": sum(each.memory for each in needs),
            "shared_root": self.value_sweeper.root,
            "items": self.history[-1][1] if self.history else 0,
            "rate": rate,
            **self.load.read(),
        }

    def _leave(self, **_: Any) -> None:
        self.heartbeat.remove(self.pacing, *self.calls)
        try:
            self.registry.leave(self.id)
        except (RedisError, OSError) as error:
            log.warning("cannot remove this worker from the registry, its entry expires: %s", error)


@cache
def pool_name(pool: type) -> str:
    """The kind of a pool, as Celery calls it; that of one that is not ours by its module."""
    return next((kind.pool for kind in Kind if issubclass(pool, get_implementation(kind.pool))), pool.__module__)


def unacknowledged_chunks() -> Iterator[Chunk]:
    """The chunks whose messages this worker has taken and not acknowledged."""
    for request in taken_requests():
        if request.name == run_chunk.name and request.args[0] == MESSAGE_VERSION:
            yield Chunk(*request.args[1:5])
