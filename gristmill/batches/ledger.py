"""The ledger of a batch: what is stored, handed out and recorded. Each state change is one Lua call."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from redis import Redis

from gristmill.batches.chunk import Chunk, Item, Outcome, Work
from gristmill.batches.histogram import encode
from gristmill.batches.outcomes import flattened
from gristmill.batches.scripts import script
from gristmill.config.settings import Settings
from gristmill.errors import BatchCancelled, InputError, ServerError

#: Milliseconds for which a producer that says nothing still owns the feeding of its batch.
PRODUCER_LEASE = 3000


class Feed(NamedTuple):
    """What a producer finds when it begins to feed a batch: how many items are stored, and their SHA-256."""

    created: bool
    stored: int
    sha: str
    input_ended: bool


class DifferentInput(InputError):
    """Raised when a batch of this name was submitted from other input."""


class AlreadyFeeding(InputError):
    """Raised when another producer is feeding the batch."""


class Ledger:
    """The ledger on one server; safe to share between threads, and usable after a fork."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        names = ("create", "append", "producer_heartbeat", "end", "take", "record", "heartbeat", "names", "forget")
        self._scripts = {name: script(client, name) for name in names}

    def key(self, batch: str, part: str) -> str:
        """The name of one of a batch's keys."""
        return self.settings.key(f"batch:{batch}:{part}")

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._scripts[name](args=[self.settings.prefix, *arguments])

    def create(self, batch: str, token: str, fields: dict[str, Any]) -> Feed:
        """Create `batch` with the state `fields`, or begin to feed it again.

        Raises:
            AlreadyFeeding: another producer is feeding it.
            DifferentInput: it is there with another task or other fixed arguments.
            BatchCancelled: it was cancelled before all its items were stored.
            ServerError: the keys on the server were written by a newer version.
        """
        flat = [part for pair in fields.items() for part in pair]
        answer = self._call("create", batch, token, PRODUCER_LEASE, *flat)
        if answer == "newer":
            raise ServerError("the server holds batches of a newer Gristmill: update this one")
        state = self.state(batch)
        if answer == "cancelled":
            self._refuse_cancelled(batch, state)
        if answer == "other":
            field, word = ("task", "task") if state["task"] != fields["task"] else ("fixed", "--set")
            raise DifferentInput(
                f"batch {batch!r} was submitted by {state['submitted_by']} with {word} {state[field]}, "
                f"not {fields[field]}: take another --name"
            )
        if answer == "fed":
            raise AlreadyFeeding(
                f"batch {batch!r} is being submitted by {state['submitted_by']} just now: "
                f"follow it with `gristmill watch {batch}`, or take another --name"
            )
        return Feed(answer == "created", int(state["stored"]), state.get("sha", ""), "ended" in state)

    def append(self, batch: str, token: str, first: int, items: Sequence[str], sha: str) -> None:
        """Store the items from index `first` on (JSON texts) as one block; `sha` covers all up to its end.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        end = first + len(items)
        answer = self._call("append", batch, token, PRODUCER_LEASE, first, end, sha, "\n".join(items))
        self._still_ours(batch, answer)

    def producer_heartbeat(self, batch: str, token: str) -> None:
        """Say that the producer still lives; on a full server too.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        self._still_ours(batch, self._call("producer_heartbeat", batch, token, PRODUCER_LEASE))

    def let_go(self, batch: str, token: str) -> None:
        """Say that this producer stops before the input has ended, so that another can go on at once."""
        self._call("producer_heartbeat", batch, token, 0)

    def end(self, batch: str, token: str, rejected: int) -> None:
        """Say that the input has ended; `rejected` items of it were bad and skipped.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        self._still_ours(batch, self._call("end", batch, token, rejected))

    def _still_ours(self, batch: str, answer: str) -> None:
        if answer == "cancelled":
            self._refuse_cancelled(batch, self.state(batch))
        if answer == "lost":
            raise AlreadyFeeding(
                f"batch {batch!r} is no longer fed from here: it was forgotten, or another producer took over"
            )

    def _refuse_cancelled(self, batch: str, state: dict[str, str]) -> None:
        raise BatchCancelled(
            f"batch {batch!r} was cancelled while its items were submitted ({state.get('reason')}): "
            f"{int(state.get('stored', 0)):,} of them are stored, no more will be"
        )

    def take(self, chunk: Chunk, worker: str = "") -> Work | None:
        """Begin a chunk on `worker` (its node name); None when nothing of it is to be run."""
        counting = int(self.settings.meters)
        found = self._call("take", chunk.batch, chunk.epoch, chunk.first, chunk.count, worker, counting)
        return self._work(chunk, found) if found else None

    def _work(self, chunk: Chunk, found: list[Any]) -> Work:
        task, fixed, parameter, retries, retry_seconds, done, attempts, blocks, kept = found
        values = _values(chunk.first, len(done), blocks, kept)
        items = [
            _item(chunk.first + i, value, attempts[i] if attempts else None)
            for i, value in enumerate(values)
            if done[i] == "0"
        ]
        if any(item.value is _GONE for item in items):
            raise ServerError(f"batch {chunk.batch!r}: items {chunk.member} are not all on the server")
        rest = chunk.count - len(done)
        return Work(task, json.loads(fixed), parameter, int(retries), float(retry_seconds), items, rest)

    def record(self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str, rest: int = 0) -> int:
        """Record outcomes, each item's once; answers how many of them were duplicates.

        `seconds` is what they took together. `rest` says how many of the chunk's last items are not among
        them and go to other slots; -1: the chunk goes on.
        """
        return int(self._record(chunk, outcomes, rest, seconds, worker, 0)[0])

    def record_and_go_on(
        self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str
    ) -> tuple[int, Chunk | None, Work | None]:
        """Record a whole chunk; answers the duplicates, and the next chunk for this slot, if there is one."""
        duplicates, following = self._record(chunk, outcomes, 0, seconds, worker, 1)
        if not following:
            return int(duplicates), None, None
        first, count, found = following
        after = Chunk(chunk.batch, chunk.epoch, int(first), int(count))
        return int(duplicates), after, self._work(after, found)

    def _record(
        self, chunk: Chunk, outcomes: Sequence[Outcome], rest: int, seconds: float, worker: str, more: int
    ) -> list[Any]:
        which = (chunk.batch, chunk.epoch, chunk.first, chunk.count)
        times = encode(outcome.seconds for outcome in outcomes) if self.settings.meters else "off"
        answer = self._call("record", *which, rest, seconds, worker, more, *flattened(outcomes), times)
        return cast(list[Any], answer)

    def heartbeat(self, worker: str, heartbeat: dict[str, Any], held: Iterable[Chunk]) -> int:
        """A worker's sign of life: its beat, and the chunks it holds; heals batches whose chunks were dropped.

        Answers how many outcomes the worker has recorded.
        """
        flat = [part for chunk in held for part in (chunk.batch, chunk.member)]
        return int(self._call("heartbeat", worker, json.dumps(heartbeat), *flat))

    def state(self, batch: str) -> dict[str, str]:
        """All fields of the batch's state; empty when there is no such batch."""
        return cast(dict[str, str], self.client.hgetall(self.key(batch, "state")))

    def items(self, batch: str) -> Iterator[tuple[int, str]]:
        """The items of the batch that are stored, by index, as JSON texts; those that were consumed are left out."""
        start = "-"
        while entries := cast(Any, self.client.xrange(self.key(batch, "in"), min=start, count=10)):
            for identity, fields in entries:
                yield from enumerate(fields["items"].split("\n"), int(fields["first"]))
                start = f"({identity}"

    def stopped(self, chunk: Chunk) -> bool:
        """Whether no more items of the chunk should begin: its batch is paused, being cancelled, or gone."""
        names = ["epoch", "paused", "cancelling", "finished"]
        epoch, *stops = cast(list[str | None], self.client.hmget(self.key(chunk.batch, "state"), names))
        return epoch != str(chunk.epoch) or any(stops)

    def names(self) -> list[str]:
        """The names of all batches, oldest first."""
        return cast(list[str], self._call("names"))

    def forget(self, batch: str) -> None:
        """Delete every key of the batch."""
        self._call("forget", batch)


def _item(index: int, value: Any, attempts: str | None) -> Item:
    if attempts is None:
        return Item(index, value, 1)
    # As `tries` in ledger.lua reads them.
    tried, _, before = attempts.partition("/")
    return Item(index, value, 1 + int(tried), int(before or 0))


_GONE = object()


def _values(first: int, count: int, blocks: Iterable[tuple[str, str]], kept: Sequence[str | None]) -> list[Any]:
    """The items from index `first` on, by place; _GONE where an item was consumed."""
    end, values = first + count, [_GONE] * count
    for identity, text in blocks:
        start = int(identity)
        begin = max(start, first)
        lines = text.split("\n")[begin - start : max(0, end - start)]
        found = json.loads(f"[{','.join(lines)}]")
        values[begin - first : begin - first + len(found)] = found
    for i, item in enumerate(kept):
        if item is not None:
            values[i] = json.loads(item)
    return values
