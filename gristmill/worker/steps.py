"""Steps that every worker of the app starts with: the guard of its pool, and its pulse."""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from celery.bootsteps import StartStopStep, Step
from celery.concurrency import get_implementation
from celery.signals import worker_process_init, worker_ready, worker_shutdown
from celery.worker import state
from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import settings, variable
from gristmill.errors import GristmillError, ServerError
from gristmill.fleet.meters import Meters
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.tasks import catalog
from gristmill.tasks.kinds import Kind
from gristmill.worker import meters
from gristmill.worker.chunks import MESSAGE_VERSION, prepare, run_chunk
from gristmill.worker.guards import freeze, refuse
from gristmill.worker.limits import limit_memory, slot_memory

#: The pool that suits each queue, and why.
POOLS = {
    Kind.CPU: (
        "prefork",
        "CPU-bound tasks in threads of one process share one core: the GIL lets one run at a time",
    ),
    Kind.IO: ("threads", "I/O-bound tasks wait: a process for each would cost its memory for nothing"),
}
_POOL_NAMES = {get_implementation(pool): pool for pool, _ in POOLS.values()}
HEARTBEAT_SECONDS = 1.0
RATE_SECONDS = 10
#: Seconds for which the worker's loop may stand still before the worker stops to beat: it takes no messages then.
STUCK_SECONDS = 30.0

log = logging.getLogger(__name__)


class PoolGuard(Step):
    """Refuses to start a worker whose pool does not suit a queue it listens to."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        if not settings().any_pool:
            for kind, (pool, why) in POOLS.items():
                listens = str(kind) in worker.app.amqp.queues.consume_from
                if listens and worker.pool_cls is not get_implementation(pool):
                    refuse(
                        f"queue {kind} wants pool {pool}: {why}. Start it with --pool {pool}, "
                        f"or set {variable('any_pool')}=true to compare"
                    )
        super().__init__(worker, **kwargs)


class SlotMemory(Step):
    """Limits the memory of each pool process, so that an item which eats it fails and not the host."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        size = slot_memory(settings(), worker.max_concurrency or worker.concurrency)
        worker_process_init.connect(lambda **_: limit_memory(size), weak=False)
        super().__init__(worker, **kwargs)


class Prepare(Step):
    """Makes what every pool process needs before there is one: in each it would be memory of its own."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        with suppress(RedisError, GristmillError):
            prepare()
        # Steps come in no order: the worker's own may have been done.
        freeze()
        super().__init__(worker, **kwargs)


class Heartbeat(StartStopStep):
    """Tells the fleet once a second that this worker lives, and which chunks it holds."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin to beat once messages are consumed, in a thread with a connection of its own."""
        self.worker = worker
        self._turn()
        if worker.hub:
            worker.hub.call_repeatedly(HEARTBEAT_SECONDS, self._turn)
        self.ended = threading.Event()
        self.history: deque[tuple[float, int]] = deque(maxlen=RATE_SECONDS + 1)
        worker_ready.connect(self._begin, weak=False)
        worker_shutdown.connect(self._leave, weak=False)

    def _begin(self, **_: Any) -> None:
        threading.Thread(target=self._send_heartbeats, name="pulse", daemon=True).start()

    def _send_heartbeats(self) -> None:
        client = connect()
        ledger, fleet = Ledger(client, settings()), WorkerRegistry(client, settings())
        metered = Meters(client, settings()) if settings().meters else None
        known = {name: task.fingerprint for name, task in catalog.load().items()}
        announced = said = False
        while not self.ended.wait(HEARTBEAT_SECONDS if announced else 0):
            if self._stuck():
                continue
            try:
                if not announced:
                    fleet.announce(self.worker.hostname, known)
                    announced, said = True, False
                items = ledger.heartbeat(self.worker.hostname, self._describe(), held_chunks())
                self.history.append((time.monotonic(), items))
                if metered:
                    metered.heartbeat(self.worker.hostname, meters.taken())
            except Exception as error:
                # The next beat says the same, and what must not be lost waits in the ledger: no error ends the pulse.
                log.log(logging.DEBUG if said else logging.WARNING, "no beat, until the server takes one: %s", error)
                announced, said = False, True
                self.ended.wait(HEARTBEAT_SECONDS)

    def _turn(self) -> None:
        self.turned = time.monotonic()

    def _stuck(self) -> bool:
        # The thread that beats would do so for ever beside a loop that hangs. A loop that has ended drains.
        looping = self.worker.hub and state.should_stop is None
        return bool(looping and time.monotonic() - self.turned > STUCK_SECONDS)

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
            **meters.load(),
        }

    def _leave(self, **_: Any) -> None:
        self.ended.set()
        try:
            WorkerRegistry(connect(), settings()).leave(self.worker.hostname)
        except (RedisError, ServerError, OSError) as error:
            log.warning("left without a word: %s", error)


def held_chunks() -> Iterator[Chunk]:
    """The chunks whose messages this worker has taken and not yet acknowledged."""
    for request in list(state.requests.values()):
        if request.name == run_chunk.name and request.args[0] == MESSAGE_VERSION:
            yield Chunk(*request.args[1:5])
