"""A worker without its processes: what it asks of the server, through the classes that real workers use."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis import ConnectionPool, Redis

from benchmarks.chunk_messages import chunk_of
from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.broker.acks import Acks
from gristmill.broker.leases import Lease
from gristmill.broker.reader import Entry, QueueReader
from gristmill.broker.scripts import TransportScripts
from gristmill.config.settings import settings
from gristmill.fleet.registry import WorkerRegistry
from gristmill.fleet.watcher import Watcher
from gristmill.server.heartbeat import Heartbeat, PeriodicCall
from gristmill.tasks import catalog

Turn = Callable[[], float | None]
#: Workers on one machine, each in a container of its own.
ON_MACHINE = 8
#: Seconds for which a read waits on the server.
WAIT_SECONDS = 1.0


class DrivenHeartbeat(Heartbeat):
    """What a worker does again and again, without the thread for it: `schedule` gets each call that is to run.

    The call answers the seconds until it is to be made again, None once it is not.
    """

    def __init__(self, pool: ConnectionPool, schedule: Callable[[Turn], None]) -> None:
        super().__init__(pool)
        self._schedule = schedule

    def add(self, *calls: PeriodicCall) -> None:
        """Have `calls` run from now on."""
        for call in calls:
            if call not in self.calls:
                self.calls.append(call)
                self._schedule(lambda call=call: call.run() if call in self.calls else None)  # type: ignore[misc]

    def hasten(self, call: PeriodicCall, seconds: float) -> None:
        """Run `call` at once if it is due now; else its turn comes."""
        self.add(call)
        if seconds == 0:
            call.run()


class SimulatedWorker:
    """One worker of `slots` slots, with the connections of a real one: of its heartbeat, and for reading.

    The driver calls `heartbeat` once a second, and what its lease and its watch `schedule`.
    """

    def __init__(
        self,
        number: int,
        slots: int,
        client: Redis,
        queue: str = "cpu",
        schedule: Callable[[Turn], None] = lambda _: None,
    ) -> None:
        self.id, self.queue, self.slots = f"{queue}@host-{number}/{number:08x}", queue, slots
        self.ledger = Ledger(client, settings())
        self._registry = WorkerRegistry(client, settings())
        self.lease = Lease(client, settings().prefix)
        self.lease.heartbeat = DrivenHeartbeat(client.connection_pool, schedule)
        self.lease.scripts = TransportScripts(self.lease.heartbeat.client, settings().prefix)
        self.lease.acks = Acks(self.lease.scripts, self.lease.consumer, self.lease.holding)
        self.lease.queues.add(queue)
        self.watcher = Watcher(self.lease, self.id)
        self.machine = f"machine-{number // ON_MACHINE}"
        self.reader = QueueReader(self.lease, self.lease.scripts, range(10))
        pool: Any = self.lease.scripts.client.connection_pool
        # One process drives many workers, each with a connection of its own.
        pool.max_connections = 1 << 16
        self.connection: Any = pool.make_connection()
        #: The chunks of the messages that it holds, by the messages' tags.
        self.chunks: dict[str, Chunk] = {}
        #: The items that have run there for long, as its heartbeat tells.
        self.runs: Sequence[Mapping[str, Any]] = ()

    @property
    def room(self) -> int:
        """Slots that have nothing to do."""
        return self.slots - len(self.chunks)

    def join(self) -> None:
        """Start as a worker does: announce its tasks, send the first heartbeat, be watched, take messages."""
        self.announce()
        self.heartbeat()
        self.lease.keep([self.queue])
        self.lease._renew()
        self.watcher.subscription.hold()
        self.watcher.begin()
        self.take(1)

    def close(self) -> None:
        """Close its connections."""
        self.connection.disconnect()
        for pool in (self.lease.heartbeat.client.connection_pool, self.watcher.subscription._pool):
            pool.disconnect()

    def announce(self) -> None:
        """Store which tasks it knows."""
        self._registry.announce(self.id, {name: task.announcement for name, task in catalog.load().items()})

    def heartbeat(self) -> None:
        """What a worker sends once a second."""
        load = {"cores": 8, "cpu": 50.0, "used": 4000, "memory": 16000, "container": False}
        about = {
            "host": self.id,
            "pid": 1,
            "queue": self.queue,
            "pool": "threads" if self.queue == "io" else "prefork",
            "items": 0,
            "rate": 1.0,
        }
        fields = {**about, "slots": self.slots, "busy": len(self.chunks), **load}
        self.ledger.heartbeat(self.id, fields, self.chunks.values(), runs=self.runs, counts=())

    def request(self) -> None:
        """Ask for as many messages as there is room for."""
        self.reader.send(self.connection, [self.queue], self.room, WAIT_SECONDS)

    def receive(self) -> list[str]:
        """The tags of the messages in the answer, which it holds from now on."""
        return [self._hold(entry) for entry in self.reader.receive(self.connection)]

    def take(self, most: int) -> list[str]:
        """Take up to `most` messages that are there, or wait a while for some; returns their tags."""
        self.reader.send(self.connection, [self.queue], most, WAIT_SECONDS)
        return self.receive()

    def acknowledge(self, tag: str) -> None:
        """Acknowledge a message."""
        del self.chunks[tag]
        self.lease.acks.add(tag)

    def _hold(self, entry: Entry) -> str:
        self.lease.holding.add(entry.tag)
        self.chunks[entry.tag] = chunk_of(entry.text)
        return entry.tag
