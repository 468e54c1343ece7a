"""The ledger of a batch: what is stored, handed out and recorded. Each state change is one Lua call."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from redis import Redis

from batches.chunk import Chunk, Item, Outcome, Work
from batches.scripts import script
from config.errors import InputError, ServerError
from config.settings import Settings

#: Milliseconds for which a producer that says nothing still owns the feeding of its batch.
PRODUCER_LEASE = 3000


class Feed(NamedTuple):
    """What a producer finds when it begins to feed a batch: how many items are stored, and their SHA-256."""

    created: bool
    stored: int
    sha: str
    ended: bool


class OtherInput(InputError):
    """Raised when a batch of this name was submitted from other input."""


class Fed(InputError):
    """Raised when another producer is feeding the batch."""


class Ledger:
    """The ledger on one server; safe to share between threads, and usable after a fork."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self._scripts = {name: script(client, name) for name in ("create", "append", "end", "take", "record", "tick")}

    def key(self, batch: str, part: str) -> str:
        """The name of one of a batch's keys."""
        return self.settings.key(f"batch:{batch}:{part}")

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._scripts[name](args=[self.settings.prefix, *arguments])

    def create(self, batch: str, token: str, fields: dict[str, Any]) -> Feed:
        """Create `batch` with the state `fields`, or begin to feed it again.

        Raises:
            Fed: another producer is feeding it.
            OtherInput: it is there with another task or other fixed arguments.
            ServerError: the keys on the server were written by a newer version.
        """
        flat = [part for pair in fields.items() for part in pair]
        answer = self._call("create", batch, token, PRODUCER_LEASE, *flat)
        if answer == "newer":
            raise ServerError("the server holds batches of a newer Gristmill: update this one")
        state = self.state(batch)
        if answer == "other":
            field, word = ("task", "task") if state["task"] != fields["task"] else ("fixed", "--set")
            raise OtherInput(
                f"batch {batch!r} was submitted by {state['submitted_by']} with {word} {state[field]}, "
                f"not {fields[field]}: take another --name"
            )
        if answer == "fed":
            raise Fed(
                f"batch {batch!r} is being submitted by {state['submitted_by']} just now: "
                f"follow it with `gristmill watch {batch}`, or take another --name"
            )
        return Feed(answer == "created", int(state["stored"]), state.get("sha", ""), "ended" in state)

    def append(self, batch: str, token: str, first: int, items: Sequence[str], sha: str) -> None:
        """Store the items from index `first` on (JSON texts) as one block; `sha` covers all up to its end.

        Without items it only says that the producer still lives.

        Raises:
            Fed: the batch is gone, or another producer feeds it.
        """
        end = first + len(items)
        answer = self._call("append", batch, token, PRODUCER_LEASE, first, end, sha, "\n".join(items))
        self._still_ours(batch, answer)

    def let_go(self, batch: str, token: str, stored: int) -> None:
        """Say that this producer stops before the input has ended, so that another can go on at once."""
        self._call("append", batch, token, 0, stored, stored, "", "")

    def end(self, batch: str, token: str, rejected: int) -> None:
        """Say that the input has ended; `rejected` items of it were bad and skipped.

        Raises:
            Fed: the batch is gone, or another producer feeds it.
        """
        self._still_ours(batch, self._call("end", batch, token, rejected))

    def _still_ours(self, batch: str, answer: str) -> None:
        if answer == "lost":
            raise Fed(f"batch {batch!r} is no longer fed from here: it was forgotten, or another producer took over")

    def take(self, chunk: Chunk) -> Work | None:
        """Begin a chunk; None when nothing of it is left to run."""
        found = self._call("take", chunk.batch, chunk.epoch, chunk.first, chunk.count)
        if not found:
            return None
        task, fixed, parameter, retries, retry_seconds, done, attempts, blocks = found
        values: list[Any] = []
        for first, text in blocks:
            lines = text.split("\n")
            skip = max(0, chunk.first - int(first))
            values += json.loads(f"[{','.join(lines[skip : skip + chunk.count - len(values)])}]")
        if len(values) != chunk.count:
            raise ServerError(f"batch {chunk.batch!r}: items {chunk.member} are not all on the server")
        items = [
            Item(chunk.first + i, value, 1 + int((attempts[i] if attempts else None) or 0))
            for i, value in enumerate(values)
            if not done[i]
        ]
        return Work(task, json.loads(fixed), parameter, int(retries), float(retry_seconds), items)

    def record(self, chunk: Chunk, outcomes: Iterable[Outcome], seconds: float, worker: str, rest: int = 0) -> int:
        """Record outcomes, each item's once; answers how many of them were duplicates.

        `seconds` is what they took together. `rest` says how many of the chunk's last items are not among
        them and go to other slots; -1: the chunk goes on.
        """
        flat: list[Any] = []
        for outcome in outcomes:
            flat += (outcome.index, outcome.state, outcome.attempt, outcome.text)
        which = (chunk.batch, chunk.epoch, chunk.first, chunk.count)
        return int(self._call("record", *which, rest, seconds, worker, *flat))

    def tick(self, worker: str, beat: dict[str, Any], held: Iterable[Chunk]) -> int:
        """A worker's sign of life: its beat, and the chunks it holds; heals batches whose chunks were dropped.

        Answers how many outcomes the worker has recorded.
        """
        flat = [part for chunk in held for part in (chunk.batch, chunk.member)]
        return int(self._call("tick", worker, json.dumps(beat), *flat))

    def state(self, batch: str) -> dict[str, str]:
        """All fields of the batch's state; empty when there is no such batch."""
        return cast(dict[str, str], self.client.hgetall(self.key(batch, "state")))

    def items(self, batch: str) -> Iterator[str]:
        """The items of the batch that are stored, in order, as JSON texts."""
        start = "-"
        while entries := cast(Any, self.client.xrange(self.key(batch, "in"), min=start, count=10)):
            for identity, fields in entries:
                yield from fields["items"].split("\n")
                start = f"({identity}"

    def names(self) -> list[str]:
        """The names of all batches, oldest first."""
        return cast(list[str], self.client.zrange(self.settings.key("batches"), 0, -1))

    def forget(self, batch: str) -> None:
        """Delete every key of the batch."""
        stored = int(self.state(batch).get("stored", 0))
        # The state last: it tells a repetition what there is.
        parts = ["in", "done", "failed", "events", "attempts", "retry", "left", "window", "sent", "state"]
        keys = [self.key(batch, f"out:{bucket}") for bucket in range(-(-stored // 500))]
        keys += [self.key(batch, part) for part in parts]
        # No transaction: a full Redis refuses to queue one, and forgetting is what makes room in it.
        with self.client.pipeline(transaction=False) as pipe:
            pipe.srem(self.settings.key("active"), batch)
            for start in range(0, len(keys), 1000):
                pipe.unlink(*keys[start : start + 1000])
            pipe.zrem(self.settings.key("batches"), batch)
            pipe.execute()
