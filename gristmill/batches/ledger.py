"""The ledger of a batch: stores items, hands out chunks, records outcomes. Each change of state is one Lua call."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from redis import Redis

from gristmill.batches.chunk import Chunk, Item, Outcome, Work
from gristmill.batches.histogram import encode
from gristmill.batches.outcomes import flattened
from gristmill.batches.scripts import script
from gristmill.config.figures import item_count
from gristmill.config.settings import Settings
from gristmill.errors import BatchCancelled, InputError, ServerError

#: Milliseconds after its last heartbeat for which a producer still owns the feeding of its batch.
PRODUCER_LEASE = 3000


class Feed(NamedTuple):
    """The state of a batch when a producer starts to feed it: how many items are stored, and their SHA-256."""

    created: bool
    stored: int
    sha: str
    input_ended: bool


class DifferentInput(InputError):
    """Raised when a batch of this name was submitted from different input."""


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
        """Create `batch` with the state `fields`, or start to feed it again.

        Raises:
            AlreadyFeeding: another producer is feeding the batch.
            DifferentInput: the batch exists with another task or other fixed arguments.
            BatchCancelled: the batch was cancelled before all its items were stored.
            ServerError: a newer version of Gristmill wrote the keys on the server.
        """
        flat = [part for pair in fields.items() for part in pair]
        answer = self._call("create", batch, token, PRODUCER_LEASE, *flat)
        if answer == "newer":
            raise ServerError("a newer Gristmill wrote the batches on this server: update this installation")
        state = self.state(batch)
        if answer == "cancelled":
            self._refuse_cancelled(batch, state)
        if answer == "other":
            field, word = ("task", "task") if state["task"] != fields["task"] else ("fixed", "--set")
            raise DifferentInput(
                f"batch {batch!r} was submitted by {state['submitted_by']} with {word} {state[field]}, "
                f"not {fields[field]}: choose another --name"
            )
        if answer == "fed":
            raise AlreadyFeeding(
                f"{state['submitted_by']} is submitting batch {batch!r} now: "
                f"follow it with `gristmill watch {batch}`, or choose another --name"
            )
        return Feed(answer == "created", int(state["stored"]), state.get("sha", ""), "ended" in state)

    def append(self, batch: str, token: str, first: int, items: Sequence[str], sha: str) -> None:
        """Store the items from index `first` on (JSON texts) as one block; `sha` covers all items up to its end.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        end = first + len(items)
        answer = self._call("append", batch, token, PRODUCER_LEASE, first, end, sha, "\n".join(items))
        self._still_ours(batch, answer)

    def producer_heartbeat(self, batch: str, token: str) -> None:
        """Renew the producer's ownership of the batch; works on a full server too.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        self._still_ours(batch, self._call("producer_heartbeat", batch, token, PRODUCER_LEASE))

    def let_go(self, batch: str, token: str) -> None:
        """Give up the ownership of a batch whose input has not ended, so that another producer can continue at once."""
        self._call("producer_heartbeat", batch, token, 0)

    def end(self, batch: str, token: str, rejected: int) -> None:
        """Mark the input as ended; the producer skipped `rejected` bad inputs.

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
                f"this producer no longer feeds batch {batch!r}: somebody deleted it, or another producer took over"
            )

    def _refuse_cancelled(self, batch: str, state: dict[str, str]) -> None:
        raise BatchCancelled(
            f"batch {batch!r} was cancelled while its items were submitted ({state.get('reason')}): "
            f"{item_count(int(state.get('stored', 0)), 'are')} stored, no more follow"
        )

    def take(self, chunk: Chunk, worker: str = "") -> Work | None:
        """Start a chunk on `worker` (its id); None when no item of the chunk has to run."""
        counting = int(self.settings.meters)
        contents = self._call("take", chunk.batch, chunk.epoch, chunk.first, chunk.count, worker, counting)
        return self._work(chunk, contents) if contents else None

    def _work(self, chunk: Chunk, contents: list[Any]) -> Work:
        task, fixed, parameter, retries, retry_seconds, done, attempts, blocks, retained = contents
        values = _values(chunk.first, len(done), blocks, retained)
        items = [
            _item(chunk.first + i, value, attempts[i] if attempts else None)
            for i, value in enumerate(values)
            if done[i] == "0"
        ]
        if any(item.value is _MISSING for item in items):
            raise ServerError(f"batch {chunk.batch!r}: the server lacks some of the items {chunk.member}")
        rest = chunk.count - len(done)
        return Work(task, json.loads(fixed), parameter, int(retries), float(retry_seconds), items, rest)

    def record(self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str, rest: int = 0) -> int:
        """Record outcomes, one for each item; return how many of them were duplicates.

        All runs together took `seconds` seconds. The chunk's last `rest` items have no outcome here and go to other
        slots; -1 means that the chunk continues.
        """
        return int(self._record(chunk, outcomes, rest, seconds, worker, 0)[0])

    def record_and_go_on(
        self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str
    ) -> tuple[int, Chunk | None, Work | None]:
        """Record a whole chunk; return the number of duplicates, and this slot's next chunk with its work, or None."""
        duplicates, following = self._record(chunk, outcomes, 0, seconds, worker, 1)
        if not following:
            return int(duplicates), None, None
        first, count, contents = following
        after = Chunk(chunk.batch, chunk.epoch, int(first), int(count))
        return int(duplicates), after, self._work(after, contents)

    def _record(
        self, chunk: Chunk, outcomes: Sequence[Outcome], rest: int, seconds: float, worker: str, more: int
    ) -> list[Any]:
        which = (chunk.batch, chunk.epoch, chunk.first, chunk.count)
        times = encode(outcome.seconds for outcome in outcomes) if self.settings.meters else "off"
        answer = self._call("record", *which, rest, seconds, worker, more, *flattened(outcomes), times)
        return cast(list[Any], answer)

    def heartbeat(self, worker: str, heartbeat: dict[str, Any], chunks: Iterable[Chunk]) -> int:
        """Send the heartbeat of `worker` (its id) and the chunks that it holds; also heals batches with dropped chunks.

        Returns how many outcomes the worker has recorded.
        """
        flat = [part for chunk in chunks for part in (chunk.batch, chunk.member)]
        return int(self._call("heartbeat", worker, json.dumps(heartbeat), *flat))

    def state(self, batch: str) -> dict[str, str]:
        """All fields of the batch's state; empty when there is no such batch."""
        return cast(dict[str, str], self.client.hgetall(self.key(batch, "state")))

    def items(self, batch: str) -> Iterator[tuple[int, str]]:
        """The stored items of the batch, by index, as JSON texts; without the items that a reader consumed."""
        start = "-"
        while entries := cast(Any, self.client.xrange(self.key(batch, "in"), min=start, count=10)):
            for identity, fields in entries:
                yield from enumerate(fields["items"].split("\n"), int(fields["first"]))
                start = f"({identity}"

    def stopped(self, chunk: Chunk) -> bool:
        """Whether no more items of the chunk should start: its batch is paused, being cancelled, or deleted."""
        names = ["epoch", "paused", "cancelling", "finished"]
        epoch, *stops = cast(list[str | None], self.client.hmget(self.key(chunk.batch, "state"), names))
        return epoch != str(chunk.epoch) or any(stops)

    def names(self) -> list[str]:
        """The names of all batches, oldest first."""
        return cast(list[str], self._call("names"))

    def delete(self, batch: str) -> None:
        """Delete every key of the batch."""
        self._call("forget", batch)


def _item(index: int, value: Any, attempts: str | None) -> Item:
    if attempts is None:
        return Item(index, value, 1)
    # The form that `tries` in ledger.lua reads.
    attempts_so_far, _, before = attempts.partition("/")
    return Item(index, value, 1 + int(attempts_so_far), int(before or 0))


_MISSING = object()


def _values(first: int, count: int, blocks: Iterable[tuple[str, str]], retained: Sequence[str | None]) -> list[Any]:
    """The items from index `first` on, by place; _MISSING where a reader consumed the item."""
    end, values = first + count, [_MISSING] * count
    for identity, text in blocks:
        start = int(identity)
        begin = max(start, first)
        lines = text.split("\n")[begin - start : max(0, end - start)]
        items = json.loads(f"[{','.join(lines)}]")
        values[begin - first : begin - first + len(items)] = items
    for i, item in enumerate(retained):
        if item is not None:
            values[i] = json.loads(item)
    return values
