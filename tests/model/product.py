"""All that the explorer knows of the product: its scripts and their texts, the names of its keys, its formats.

When a script, a key or a format changes, this file changes, and no other one of the explorer.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from gristmill.batches import control, notices, schedules
from gristmill.batches.appends import Append
from gristmill.batches.chunk import Chunk, Item, Outcome
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.batches.notices import Notices
from gristmill.batches.outcomes import event_ranges, span_of, stored
from gristmill.batches.schedules import Schedules
from gristmill.broker import dead_letters
from gristmill.broker.dead_letters import DeadLetters
from gristmill.broker.scripts import TransportScripts
from gristmill.config.settings import load
from gristmill.server import scripts
from tests.model.calls import RecordingClient
from tests.model.script_texts import CLOCK, PREFIX, TEAR, Edit, instrumented

BATCH, QUEUE = "b", "q"
#: Batches that somebody submits beside BATCH: they wait for its end, take its values, or share its queue.
OTHERS = ("c", "d")
#: A schedule, and how often it is due, in ms.
SCHEDULE, EVERY_MS = "s", 5000
#: The first time, in ms. A step of time goes by in two halves, each with a heartbeat of whoever lives: half a step is
#: shorter than the silence after which a worker is dead, the whole is longer than that and than a lease.
START, STEP_MS, LEASE_MS = 5_000_000_000_000, 18_000, 15_000
#: Bytes that dead letters may have, and the ms for which a lot of messages is recognised.
DEAD_BYTES = 1 << 20
RETRY_MS = 1000
SECONDS = 0.001

_OTHER = re.compile(f"^batch:({'|'.join(OTHERS)}):")


class _Tokens:
    """The tokens of calls: the same ones when the same action is repeated."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, action: object) -> None:
        self._action, self._call = action, 0

    def __call__(self) -> SimpleNamespace:
        self._call += 1
        return SimpleNamespace(hex=f"{self._action}.{self._call}")


_TOKENS = _Tokens()


@contextmanager
def scripts_edited(edit: Edit) -> Iterator[None]:
    """Give every script the explorer's clock, have it note what it touches, and change its text by `edit`."""
    source = scripts.source

    @cache
    def edited(name: str) -> scripts.LuaScript:
        script = source(name)
        text = instrumented(name, script.text, edit)
        return scripts.LuaScript(text, hashlib.sha1(text.encode()).hexdigest(), script.parameters)

    with (
        mock.patch.object(scripts, "source", edited),
        mock.patch.object(control, "uuid4", _TOKENS),
        mock.patch.object(notices, "uuid4", _TOKENS),
        mock.patch.object(schedules, "uuid4", _TOKENS),
        mock.patch.object(dead_letters, "uuid4", _TOKENS),
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
        self.notices, self.schedules = Notices(client, settings), Schedules(client, settings)
        self.dead_letters, self._call = DeadLetters(client, settings), TransportScripts(client, PREFIX).call

    def set_clock(self, now: int) -> None:
        """Make it `now`, in ms, for every script."""
        with self.client.assuming(True):
            self.client.set(CLOCK, now)

    def tear(self, writes: int) -> None:
        """Have scripts of TEARABLE break off after so many writes; 0: none does."""
        with self.client.assuming(True):
            self.client.set(TEAR, writes)

    def begin_action(self, name: object) -> None:
        """Begin an action, of the operator or of a worker: repeating the action of a name repeats its tokens."""
        _TOKENS.begin(name)

    # -- the transport, as Lease, QueueReader, Acks, QoS and enqueue_many call it

    def fetch(self, consumer: str, acks: Sequence[str] = ()) -> Delivery | None:
        """Take one message, and acknowledge others on the way."""
        _, _, flat = self._call("take", consumer=consumer, credit=1, create=False, queues=[QUEUE], tags=acks)
        return Delivery(flat[0], flat[1], int(flat[2])) if flat else None

    def acknowledge(self, consumer: str, tag: str) -> None:
        self._call("ack", consumer=consumer, tags=[tag])

    def hand_back(self, consumer: str, tags: Sequence[str]) -> None:
        self._call("back", consumer=consumer, suspicion=0, unseen=False, tags=tags)

    def postpone(self, consumer: str, tag: str) -> None:
        self._call("postpone", consumer=consumer, wait=1000, most=1000, unseen=True, tags=[tag])

    def bury(self, consumer: str, tag: str) -> None:
        self._call("bury", consumer=consumer, limit=DEAD_BYTES, wait=1000, reason="why", deaths=3, tag=tag)

    def renew(self, consumer: str) -> None:
        self._call("renew", consumer=consumer, queues=[QUEUE])

    def reclaim(self, consumer: str) -> None:
        """Hand back what consumers held whose lease has ended."""
        self._call("reclaim", caller=consumer, silent=LEASE_MS, most=500, queues=[QUEUE])

    def held(self, consumer: str) -> list[str]:
        """The tags that the server lists as the consumer's."""
        return [str(tag) for tag in self._call("held", consumer=consumer, idle=0, queues=[QUEUE])]

    def purge(self) -> None:
        self._call("purge", queue=QUEUE, whole=False)

    def put(self, lot: str, names: Sequence[str]) -> None:
        """Put plain messages of these names, as a lot."""
        messages = [json.dumps({"headers": {"id": name}}) for name in names]
        self._call("put", queue=QUEUE, level=0, wait=0, sender=lot, number=1, messages=messages)

    # -- batches

    def heartbeat(self, worker: str, chunks: Sequence[Chunk]) -> None:
        """Send a worker's heartbeat, with the chunks whose messages it holds."""
        self.ledger.heartbeat(worker, {"queue": QUEUE, "slots": 1}, chunks)

    def create(self, token: str, retries: int, limits: Mapping[str, str]) -> Any:
        """Create the batch."""
        return self.ledger.create(BATCH, token, {**self.fields(retries), **limits})

    def begin_append(self, token: str, retries: int, limits: Mapping[str, str]) -> Any:
        """Begin the producer's append to the batch, which is open."""
        return self.append(token, 0).begin(BATCH, token, {**self.fields(retries), **limits, "open": 1})

    def submit_other(self, name: str, **fields: str) -> None:
        """Submit another batch with an item of its own, unless its items are the values of BATCH.

        Raises:
            InputError: it follows BATCH, which is not there yet.
        """
        self.ledger.create(name, "other", {**self.fields(0), **fields})
        if "from_batch" not in fields:
            self.ledger.append(name, "other", 0, ["0"], "sha")
            self.ledger.end(name, "other", 0)

    def fields(self, retries: int) -> dict[str, Any]:
        """The fields of a new batch's state."""
        return {
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

    def append(self, token: str, position: int) -> Append:
        """The one append of a producer, through all of its lives; it is at that position of its input."""
        append = Append(self.client, self.ledger.settings, append_token(token), lambda item, _: item)
        append.progress.position = position
        return append

    def close(self) -> None:
        """Close the open batch."""
        # Its token is none of the operator's.
        _TOKENS.begin(-1)
        self.control.close(BATCH)


def outcome(item: Item, state: str) -> Outcome:
    """The outcome of an attempt: `s`, `f` and `d` end the item, `r` is a failure that is tried again."""
    word = {"s": "succeeded", "f": "failed", "d": "dead", "r": "failed"}[state]
    again = RETRY_MS if state == "r" else None
    return Outcome(item.index, word, item.attempt, json.dumps(item.value), SECONDS, "w", 1, again)


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

NOBODY = "-"
#: Sorted sets of workers, by when each was last heard of; the one of leases among them.
LEASES = f"lease:{QUEUE}"
WORKER_ZSETS = ("workers", LEASES)
#: The hash of what each worker runs, and the zset of batches that are not finished.
RUNNING_HASH, ACTIVE = "started", "active"
#: The hash of how far each append is.
APPENDS = "appends"
#: Where an item without an outcome may be: in these sets of chunks, or waiting for its next attempt.
CHUNK_ZSETS, WAITING = ("in_flight", "remainder"), ("retry", "retry_pending")
#: Items that wait for room of their value; how many run of each value, of the batch and of its task.
PARKED, VALUES_RUNNING, TASK_RUNNING = "parked", "running", "limit:t:running"
UNTOLD = "0" * 12
#: Who has turns on a queue, and what the lines of their batches begin with.
TURNS, LINE = f"turns:{QUEUE}", f"line:{QUEUE}:"
#: What the keys of notices begin with, and those of answers for calls that may be repeated.
NOTICE, ANSWER = "notice:", "answer:"
_CLAIM_ANSWER = re.compile(rf"{ANSWER}[xyzw]\d+\.")
#: The hash of a queue's counts.
COUNTS = f"queue:{QUEUE}"
#: The stream that wakes readers: what it has changes when a message is taken, and not what becomes of it.
ALARM = f"q:{QUEUE}:alarm"
#: Keys on which nothing depends: the clock among them, because time never goes back here.
_IGNORED = frozenset({"audit", "items", "learnt", "schema", "batches", "clock"})
#: Keys with ids of messages, names of workers or times. All others are plain.
_SCOPED = frozenset(
    {
        "state",
        APPENDS,
        RUNNING_HASH,
        "message_of",
        "in_flight",
        "retry",
        "due",
        "pacing",
        "ready",
        "rates",
        "heartbeats",
        "slots_of",
        "notices",
        *WORKER_ZSETS,
    }
    | {f"back:{QUEUE}", f"suspects:{QUEUE}"}
)
#: Of the state's fields: those on which nothing depends, those of which only the presence counts (moments that are
#: compared with nothing), those that are compared with the time, and those that name a producer.
IGNORED_FIELDS = frozenset({"duplicates", "created", "epoch"})
INPUT_ENDED = "input_ended"
PRESENT_FIELDS = frozenset(
    {INPUT_ENDED, "paused", "cancelling", "finished", "reason", "measured_seconds", "measured_items"}
)
DUE_FIELDS, TOKEN_FIELDS = frozenset({"producer_until", "rate_due"}), frozenset({"producer", "input_ended_by"})


def end_notice(batch: str, state: Mapping[str, str]) -> str:
    """The id of the notice of a batch's last end."""
    end = f"{batch} {state.get('epoch')} end"
    return f"msg_{hashlib.sha1(end.encode()).hexdigest()}"


def claim_token(worker: str, claims: int) -> str:
    """What begins the token of a worker's next claim of a notice."""
    return f"{worker}.{claims}."


def append_token(producer: str) -> str:
    """The token of a producer's append."""
    return producer.partition(".")[0]


def form_of(part: str) -> str:
    """How a key enters the form of a state: `plain`, `scoped`, or not at all."""
    if part.startswith("kill:") or part == ALARM:
        # Nothing depends on it: a worker that is killed acknowledges its message as Celery does.
        return ""
    part = bare(part)
    if part in _IGNORED:
        return ""
    timed = part.startswith(("limit:", "line:")) and part != TASK_RUNNING
    claims = part.startswith(NOTICE) or _CLAIM_ANSWER.match(part)
    return "scoped" if timed or claims or part in _SCOPED or part.startswith("q:") else "plain"


@cache
def part(name: str) -> str:
    """A key's name without the prefixes: `state`, `out:0`, `q:q:0` …"""
    return name.removeprefix(PREFIX).removeprefix("gm1:").removeprefix(f"batch:{BATCH}:")


@cache
def bare(part: str) -> str:
    """The part of a batch's key, whichever of the batches that is."""
    return _OTHER.sub("", part)


def other(view: Mapping[str, Any], batch: str) -> dict[str, Any]:
    """The keys of one of OTHERS by their parts; empty without it."""
    prefix = f"batch:{batch}:"
    return {bare(name): value for name, value in view.items() if name.startswith(prefix)}


@cache
def _outcomes_of(text: str) -> list[tuple[str, int, int]]:
    return [(outcome.state, outcome.value, outcome.attempts) for outcome in stored(text)]


def outcomes_in(fields: dict[str, str]) -> Iterator[tuple[int, tuple[str, int, int]]]:
    """The index, and the state, the value and the attempts, of each outcome in a hash of outcomes."""
    for name, text in fields.items():
        yield from zip(range(*span_of(name)), _outcomes_of(text), strict=True)


def events_in(stream: Any) -> Iterator[tuple[int, int]]:
    """The index and the attempt of each event."""
    for fields in stream.entries.values():
        for first, last, attempt in event_ranges(fields["ranges"]):
            yield from ((index, attempt) for index in range(first, last + 1))


def without_times(fields: dict[str, str]) -> dict[str, str]:
    """The fields of a block or of a dead letter, without moments and names of workers."""
    return {name: text for name, text in fields.items() if name not in ("at", "worker", "progress")}


def value_of(index: int) -> str:
    """By what limits by value know an item: two values take turns."""
    return f"{1 + index % 2:012x}"


def told_value(view: Mapping[str, Any], index: int) -> str:
    """By what the server knows that item of a batch, or zeros, where nobody has told it."""
    text = view.get("limit_values", b"")[12 * index : 12 * index + 12]
    return text.decode() if text.isalnum() else UNTOLD


def span(member: str) -> range:
    """The indexes of `first:count`, or of an index alone."""
    first, _, count = member.partition(":")
    return range(int(first), int(first) + int(count or 1))
