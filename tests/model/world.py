"""A state of the model: the server's keys, the time, and what each actor knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gristmill.batches.chunk import Chunk, Item
from tests.model.product import START
from tests.model.store import Snapshot, View


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is explored: who does what, and how unlucky they may be.

    Attributes:
        items: the items of the batch; 0 for plain messages instead, `messages` of them.
        operator: the operator's actions, in their order; each may come at any moment.
        outcomes: by index of an item the outcomes of its attempts: `s`, `r` (fails, and is tried again), `f`, `d`.
            The last one stands for all that follow. Items without an entry succeed.
        faults: the most faults on a path.
        kinds: the faults that may happen.
        blocks: the number of items in each block that the producer stores; by default one block has all.
        producers: those who append to an open batch at once, each `items` items of its own.
        schedule: what becomes of missed times, and of those at which the run before still runs: then a schedule is
            explored instead.
        notice: the notices of the batch are explored, and its items do not run.
        moments: of a schedule, how many of its times come.
    """

    name: str
    items: int = 3
    messages: int = 0
    operator: tuple[str, ...] = ()
    outcomes: dict[int, str] = field(default_factory=dict)
    faults: int = 2
    kinds: frozenset[str] = frozenset({"crash", "lost answer", "stall", "torn"})
    retries: int = 1
    #: Fields of the batch's state: `halt`, `max_running`, `rate`.
    limits: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[int, ...] = ()
    parts: bool = True
    #: A worker gives back what it has not begun of a chunk.
    gives: bool = False
    #: The producer appends to an open batch, and closes it.
    appends: bool = False
    workers: int = 2
    producers: int = 1
    schedule: tuple[str, ...] = ()
    notice: bool = False
    #: No producer tells by which value its items are limited: workers do.
    untold: bool = False
    moments: int = 0

    @property
    def items_run(self) -> bool:
        """Whether workers run the items of batches."""
        return bool(self.items) and not self.notice

    def state_of(self, item: Item) -> str:
        row = self.outcomes.get(item.index, "s")
        return row[min(item.attempt, len(row)) - 1]


@dataclass(frozen=True, slots=True)
class Producer:
    """A producer: it creates, stores block by block, ends, and closes an open batch; `at` is its next call."""

    at: str = "create"
    life: int = 0
    stored: int = 0
    number: int = 0

    @property
    def token(self) -> str:
        return f"p{self.number}.{self.life}"


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker with one slot. `at` is its next call: fetch, take, run (record), ack.

    `sure` says that its message stands on the queue in its name: its lease never ended, and no answer about it was
    lost. `lost_sight` says that a fetch was not answered: the server may have a message of it that it does not know.
    """

    slot: str
    life: int = 0
    at: str = "fetch"
    tag: str = ""
    text: str = ""
    returns: int = 0
    chunk: Chunk | None = None
    running: Chunk | None = None
    items: tuple[Item, ...] = ()
    #: How many last items of its chunk it has given back, while it does not know whether the server has them.
    rest: int = 0
    sure: bool = False
    lost_sight: bool = False
    #: What it has read of a schedule that is due, or of the notice that it has claimed.
    read: tuple[Any, ...] = ()
    claims: int = 0

    @property
    def name(self) -> str:
        return f"{self.slot}{self.life}"

    def idle(self, **changes: Any) -> "Worker":
        return replace(Worker(self.slot, self.life, lost_sight=self.lost_sight), **changes)


@dataclass(frozen=True, slots=True)
class Actors:
    """All actors, the time, and how much may still happen.

    `generation` counts how often the batch was submitted anew; `done` has the names of plain messages that ran, and of
    notices that were sent. Where a path `is_timed`, moments differ though nothing else does. The last two are of a
    schedule: when somebody looked last; from when until when nobody looked in an outage, and how many times had been
    seen before it and not fired.
    """

    producers: tuple[Producer, ...]
    workers: tuple[Worker, ...]
    operator: tuple[str, ...]
    faults: int
    now: int = START
    generation: int = 0
    done: frozenset[str] = frozenset()
    is_timed: bool = False
    looked: int = START
    outage: tuple[int, int, int] = (0, 0, 0)

    def with_producer(self, producer: Producer) -> "Actors":
        at = producer.number
        return replace(self, producers=(*self.producers[:at], producer, *self.producers[at + 1 :]))

    @property
    def have_input(self) -> bool:
        """Whether all producers are done."""
        return all(producer.at == "done" for producer in self.producers)

    def with_worker(self, worker: Worker) -> "Actors":
        return replace(self, workers=tuple(worker if each.slot == worker.slot else each for each in self.workers))


@dataclass(slots=True)
class World:
    """A whole state."""

    actors: Actors
    snapshot: Snapshot

    @property
    def view(self) -> View:
        return self.snapshot.view


def first_actors(scenario: Scenario) -> Actors:
    at = "plan" if scenario.schedule else "create" if scenario.items else "put"
    return Actors(
        tuple(Producer(at, number=number) for number in range(scenario.producers)),
        tuple(Worker(slot) for slot in "xyzw"[: scenario.workers]),
        scenario.operator,
        scenario.faults,
        is_timed=bool(scenario.moments),
    )
