"""All that the explorer knows of the product: its scripts and their texts, the names of its keys, its formats.

When a script, a key or a format changes, this file changes, and no other one of the explorer.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple
from unittest import mock

from gristmill.batches import scripts as batch_scripts
from gristmill.batches.chunk import Chunk, Item, Outcome
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.broker import scripts as broker_scripts
from gristmill.broker.dead_letters import DeadLetters
from gristmill.broker.scripts import Scripts
from gristmill.config.settings import load
from tests.model.calls import RecordingClient

PREFIX, BATCH, QUEUE = "m:", "b", "q"
#: The keys that the explorer sets: the time in ms, and after how many writes a script breaks off.
CLOCK, TEAR = "model:clock", "model:tear"
#: The first time; and the ms of one step of time, more than every lease, delay and silence of the product.
START, STEP_MS = 5_000_000_000_000, 60_000
#: Bytes that dead letters may have, and the ms for which a lot of messages is recognised.
DEAD_BYTES, LOT_MS = 1 << 20, 600_000
RETRY_MS = 1000
SECONDS = 0.001

_CLOCK = re.compile(r"local function milliseconds\(\).*?\bend\n", re.DOTALL)
_NEW_CLOCK = f"local function milliseconds() return tonumber(redis.call('GET', '{CLOCK}')) end\n"
#: A script breaks off after as many writes as TEAR says: as by an error of the server in the middle of it.
_TEARABLE = f"""local server, writes = redis, 0
local redis = {{}}
for name, value in pairs(server) do redis[name] = value end
redis.call = function(command, ...)
  local tear = tonumber(server.call('GET', '{TEAR}') or 0)
  if tear > 0 and string.find(' XADD XDEL DECRBY ', ' ' .. command .. ' ', 1, true) then
    if writes == tear then error('torn') end
    writes = writes + 1
  end
  return server.call(command, ...)
end
"""
#: Scripts that say that a part of them repeats messages and loses none.
TEARABLE = ("dead_letters",)

Edit = Callable[[str], str]


@contextmanager
def scripts_edited(edit: Edit) -> Iterator[None]:
    """Give every script the explorer's clock, and change its text by `edit`."""

    def edited(text: Callable[[str], str]) -> Callable[[str], str]:
        def changed(name: str) -> str:
            head, _, body = edit(_CLOCK.sub(lambda _: _NEW_CLOCK, text(name))).partition("\n")
            return f"{head}\n{_TEARABLE if name in TEARABLE else ''}{body}"

        return changed

    with (
        mock.patch.object(batch_scripts, "text", edited(batch_scripts.text)),
        mock.patch.object(broker_scripts, "text", edited(broker_scripts.text)),
    ):
        yield


class Delivery(NamedTuple):
    """A message that a worker took: its tag, its text, and how often it came back from dead workers."""

    tag: str
    text: str
    returns: int


class Product:
    """The product's own objects, on one server."""

    def __init__(self, client: RecordingClient) -> None:
        self.client = client
        settings = load({"GRISTMILL_PREFIX": PREFIX, "GRISTMILL_METERS": "false"})
        self.ledger, self.control = Ledger(client, settings), Control(client, settings)
        self.dead_letters, self.scripts = DeadLetters(client, settings), Scripts(client, PREFIX)

    def set_clock(self, now: int) -> None:
        """Make it `now`, in ms, for every script."""
        with self.client.assuming(True):
            self.client.set(CLOCK, now)

    def tear(self, writes: int) -> None:
        """Have scripts of TEARABLE break off after so many writes; 0: none does."""
        with self.client.assuming(True):
            self.client.set(TEAR, writes)

    # -- the transport, as Lease, QueueReader, Acks, QoS and enqueue_many call it

    def fetch(self, consumer: str, acks: Sequence[str] = ()) -> Delivery | None:
        """Take one message, and acknowledge others on the way."""
        _, _, flat = self.scripts.call("take", consumer, 1, 0, 1, QUEUE, *acks)
        return Delivery(flat[0], flat[1], int(flat[2])) if flat else None

    def acknowledge(self, consumer: str, tag: str) -> None:
        self.scripts.call("ack", consumer, tag)

    def hand_back(self, consumer: str, tags: Sequence[str]) -> None:
        self.scripts.call("back", consumer, 0, *tags)

    def postpone(self, consumer: str, tag: str) -> None:
        self.scripts.call("postpone", consumer, 1000, tag)

    def bury(self, consumer: str, tag: str) -> None:
        self.scripts.call("bury", consumer, DEAD_BYTES, 1000, "why", 3, tag)

    def renew(self, consumer: str) -> None:
        self.scripts.call("renew", consumer, QUEUE)

    def reclaim(self, consumer: str) -> None:
        """Hand back what consumers held whose lease of 20 s has ended."""
        self.scripts.call("reclaim", consumer, 20_000, 500, QUEUE)

    def held(self, consumer: str) -> list[str]:
        """The tags that the server lists as the consumer's."""
        return [str(tag) for tag in self.scripts.call("held", consumer, 0, QUEUE)]

    def purge(self) -> None:
        self.scripts.call("purge", QUEUE, 0)

    def put(self, lot: str, names: Sequence[str]) -> None:
        """Put plain messages of these names, as a lot."""
        self.scripts.call("put", QUEUE, 0, lot, LOT_MS, *(json.dumps({"headers": {"id": name}}) for name in names))

    # -- batches

    def heartbeat(self, worker: str, chunks: Sequence[Chunk], heal: bool) -> None:
        """Send a worker's heartbeat; with `heal`, it is the one that heals in this second."""
        if not heal:
            with self.client.assuming(True):
                self.client.set(self.ledger.settings.key("healing"), "-")
        self.ledger.heartbeat(worker, {"queue": QUEUE, "slots": 1}, chunks)

    def create(self, token: str, retries: int, halt: str) -> Any:
        fields = {
            "task": "t",
            "queue": QUEUE,
            "parameter": "n",
            "fixed": "{}",
            "fingerprint": "f",
            "retries": retries,
            "retry_seconds": RETRY_MS / 1000,
            "chunk_seconds": 0.25,
            "submitted_by": "me",
        }
        return self.ledger.create(BATCH, token, {**fields, "halt": halt} if halt else fields)


def outcome(item: Item, state: str) -> Outcome:
    """The outcome of an attempt: `s`, `f` and `d` as the ledger has them, `r` for a failure that is tried again."""
    word = {"s": "succeeded", "f": "failed", "d": "dead", "r": "failed"}[state]
    text = json.dumps([word, item.value, item.attempt, SECONDS, "w", 1])
    return Outcome(item.index, str(RETRY_MS) if state == "r" else state, item.attempt, text, SECONDS)


@cache
def outcome_of(text: str) -> tuple[str, int, int]:
    """The state, the value and the attempt in a stored outcome."""
    state, value, attempt, *_ = json.loads(text)
    return state, value, attempt


@cache
def chunk_in(text: str) -> Chunk | None:
    """The chunk that a message carries; None for a plain message."""
    message = json.loads(text)
    if "body" not in message:
        return None
    _, batch, epoch, first, count, _ = json.loads(message["body"])[0]
    return Chunk(batch, epoch, first, count)


@cache
def name_in(text: str) -> str:
    """The name of a plain message."""
    return str(json.loads(text)["headers"]["id"])


# -- names and formats of keys

#: Keys that expire by the server's own clock: no part of a state.
VOLATILE = frozenset({"healing"})
NOBODY = "-"
#: Sorted sets of workers, by when each was last heard of; the one of leases among them.
LEASES = f"lease:{QUEUE}"
WORKER_ZSETS = ("workers", LEASES)
#: The hash of what each worker runs.
RUNNING_HASH = "begun"
#: Keys on which nothing depends.
_IGNORED = frozenset({"items", "learnt", "schema", "batches"})
#: Keys with ids of messages, names of workers or times. All others are plain.
_SCOPED = frozenset(
    {"state", RUNNING_HASH, "sent", "window", "retry", "beats", f"back:{QUEUE}", f"suspects:{QUEUE}", *WORKER_ZSETS}
)
#: Of the state's fields: those on which nothing depends, those of which only the presence counts (moments that are
#: compared with nothing), those that are compared with the time, and those that name a producer.
IGNORED_FIELDS = frozenset({"duplicates", "created", "epoch"})
PRESENT_FIELDS = frozenset(
    {"ended", "paused", "cancelling", "finished", "reason", "measured_seconds", "measured_items"}
)
DUE_FIELDS, TOKEN_FIELDS = frozenset({"producer_until"}), frozenset({"producer", "ended_by"})


def form_of(part: str) -> str:
    """How a key enters the form of a state: `plain`, `scoped`, or not at all."""
    return "" if part in _IGNORED else "scoped" if part in _SCOPED or part.startswith("q:") else "plain"


@cache
def part(name: str) -> str:
    """A key's name without the prefixes: `state`, `out:0`, `q:q:0` …"""
    return name.removeprefix(PREFIX).removeprefix("gm1:").removeprefix(f"batch:{BATCH}:")


def outcomes_in(fields: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The index and the text of each outcome in a hash of outcomes."""
    for name, text in fields.items():
        first, _, count = name.partition(":")
        yield from enumerate(text.split("\n") if count else [text], int(first))


def events_in(stream: Any) -> Iterator[tuple[int, int]]:
    """The index and the attempt of each event."""
    for fields in stream.entries.values():
        for text in fields["ranges"].split(","):
            indexes, _, attempt = text.partition("@")
            first, _, last = indexes.partition("-")
            yield from ((index, int(attempt or 1)) for index in range(int(first), int(last) + 1))


def without_times(fields: dict[str, str]) -> dict[str, str]:
    """The fields of a block or of a dead letter, without moments and names of workers."""
    return {name: text for name, text in fields.items() if name not in ("at", "worker")}


def span(member: str) -> range:
    """The indexes of `first:count`, or of an index alone."""
    first, _, count = member.partition(":")
    return range(int(first), int(first) + int(count or 1))
