"""The worker's heartbeat: once a second it tells the fleet that the worker is alive, and which chunks it holds."""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from celery.bootsteps import StartStopStep
from celery.concurrency import get_implementation
from celery.signals import worker_ready, worker_shutdown
from celery.worker import state
from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import settings
from gristmill.errors import ServerError
from gristmill.fleet.meters import Meters
from gristmill.fleet.registry import WorkerRegistry
from gristmill.fleet.worker_id import worker_id
from gristmill.server.connection import connect
from gristmill.tasks import catalog
from gristmill.worker.boot_steps import POOLS
from gristmill.worker.chunk_task import MESSAGE_VERSION, run_chunk
from gristmill.worker.host_load import host_load
from gristmill.worker.task_counts import collect

_POOL_NAMES = {get_implementation(pool): pool for pool, _ in POOLS.values()}
HEARTBEAT_SECONDS = 1.0
RATE_SECONDS = 10
#: Seconds for which the worker's event loop may hang, and take no messages, before the heartbeat stops.
STUCK_SECONDS = 30.0

log = logging.getLogger(__name__)


class Heartbeat(StartStopStep):
    """Tells the fleet once a second that this worker is alive, and which chunks it holds."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Send heartbeats from a thread with a connection of its own, as soon as the worker consumes messages."""
        self.worker = worker
        self.id = worker_id(worker.hostname)
        self._mark_turn()
        if worker.hub:
            worker.hub.call_repeatedly(HEARTBEAT_SECONDS, self._mark_turn)
        self.ended = threading.Event()
        self.history: deque[tuple[float, int]] = deque(maxlen=RATE_SECONDS + 1)
        worker_ready.connect(self._begin, weak=False)
        worker_shutdown.connect(self._leave, weak=False)

    def _begin(self, **_: Any) -> None:
        threading.Thread(target=self._send_heartbeats, name="heartbeat", daemon=True).start()

    def _send_heartbeats(self) -> None:
        client = connect()
        ledger, fleet = Ledger(client, settings()), WorkerRegistry(client, settings())
        fleet_meters = Meters(client, settings()) if settings().meters else None
        announcements = {name: task.announcement for name, task in catalog.load().items()}
        announced = failing = False
        while not self.ended.wait(HEARTBEAT_SECONDS if announced else 0):
            if self._stuck():
                continue
            try:
                if not announced:
                    fleet.announce(self.id, announcements)
                    announced, failing = True, False
                items = ledger.heartbeat(self.id, self._describe(), unacknowledged_chunks())
                self.history.append((time.monotonic(), items))
                if fleet_meters:
                    fleet_meters.heartbeat(self.id, collect())
            except Exception as error:
                # The ledger has what must not be lost, and the next heartbeat repeats the rest: no error ends the loop.
                log.log(logging.DEBUG if failing else logging.WARNING, "heartbeat failed, retrying: %s", error)
                announced, failing = False, True
                self.ended.wait(HEARTBEAT_SECONDS)

    def _mark_turn(self) -> None:
        self.last_turn = time.monotonic()

    def _stuck(self) -> bool:
        # Else the thread would send heartbeats for ever beside a loop that hangs. A loop that has ended drains.
        looping = self.worker.hub and state.should_stop is None
        return bool(looping and time.monotonic() - self.last_turn > STUCK_SECONDS)

    def _describe(self) -> dict[str, Any]:
        worker = self.worker
        kinds = [str(kind) for kind in POOLS if str(kind) in worker.app.amqp.queues.consume_from]
        rate = 0.0
        if len(self.history) > 1:
            (then, before), (now, after) = self.history[0], self.history[-1]
            rate = round(max(0, after - before) / (now - then), 2)
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "queue": kinds[0] if kinds else "",
            "pool": _POOL_NAMES.get(worker.pool_cls, worker.pool_cls.__module__),
            "slots": worker.pool.num_processes if worker.pool else worker.concurrency,
            "busy": len(state.active_requests),
            "items": self.history[-1][1] if self.history else 0,
            "rate": rate,
            **host_load(),
        }

    def _leave(self, **_: Any) -> None:
        self.ended.set()
        try:
            WorkerRegistry(connect(), settings()).leave(self.id)
        except (RedisError, ServerError, OSError) as error:
            log.warning("cannot remove this worker from the registry, its entry expires: %s", error)


def unacknowledged_chunks() -> Iterator[Chunk]:
    """The chunks whose messages this worker has taken and not acknowledged."""
    for request in list(state.requests.values()):
        if request.name == run_chunk.name and request.args[0] == MESSAGE_VERSION:
            yield Chunk(*request.args[1:5])
