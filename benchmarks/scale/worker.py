"""A worker without its processes: what it asks of the server, through the classes that real workers use."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis

from benchmarks.chunk_messages import chunk_of
from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.broker.leases import Lease
from gristmill.broker.reader import Entry, QueueReader
from gristmill.config.settings import settings
from gristmill.fleet.meters import Meters
from gristmill.fleet.registry import WorkerRegistry
from gristmill.tasks import catalog


class SimulatedWorker:
    """One worker of `slots` slots, with the connections of a real one for its lease and for reading.

    The driver calls `heartbeat` once a second, and `renew` and `scan` as often as a lease's thread does.
    """

    def __init__(self, number: int, slots: int, client: Redis, queue: str = "cpu") -> None:
        self.id, self.queue, self.slots = f"{queue}@host-{number}/{number:08x}", queue, slots
        self.ledger = Ledger(client, settings())
        self._registry, self._meters = WorkerRegistry(client, settings()), Meters(client, settings())
        self.lease = Lease(client, settings().prefix)
        self.lease.queues.add(queue)
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
        """Start as a worker does: announce its tasks, send the first heartbeat, take messages."""
        self.announce()
        self.heartbeat()
        self.renew()
        self.take(1)

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
        self.ledger.heartbeat(self.id, fields, self.chunks.values(), runs=self.runs)
        self._meters.heartbeat(self.id)

    def renew(self) -> None:
        """Renew its lease."""
        self.lease._renew()

    def scan(self) -> None:
        """Look for messages of dead workers."""
        self.lease.scan()

    def request(self) -> None:
        """Ask for as many messages as there is room for."""
        self.reader.send(self.connection, [self.queue], self.room)

    def receive(self) -> list[str]:
        """The tags of the messages in the answer, which it holds from now on."""
        return [self._hold(entry) for entry in self.reader.receive(self.connection)]

    def take(self, most: int) -> list[str]:
        """Take up to `most` messages that are there, or wait a while for some; returns their tags."""
        self.reader.send(self.connection, [self.queue], most)
        return self.receive()

    def acknowledge(self, tag: str) -> None:
        """Acknowledge a message."""
        del self.chunks[tag]
        self.lease.acks.add(tag)

    def _hold(self, entry: Entry) -> str:
        self.lease.holding.add(entry.tag)
        self.chunks[entry.tag] = chunk_of(entry.text)
        return entry.tag
