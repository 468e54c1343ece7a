"""The ledger of a batch: stores items, hands out chunks, records outcomes. Each change of state is one Lua call."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from json import dumps
from typing import Any, TypeVar, cast

from redis import Redis

from gristmill.batches.chunk import Chunk, Outcome, Work
from gristmill.batches.contents import following_work
from gristmill.batches.feed import PRODUCER_LEASE, AlreadyFeeding, Feed, cancelled, other_batch
from gristmill.batches.heartbeat_answer import HeartbeatAnswer
from gristmill.batches.histogram import encode
from gristmill.batches.info import STATE_FIELDS, BatchInfo
from gristmill.batches.outcomes import groups
from gristmill.batches.scripts import BatchScripts
from gristmill.batches.slowest import SlowestFilter
from gristmill.config.settings import Settings
from gristmill.errors import InputError, invalid_value
from gristmill.server.actor import actor
from gristmill.server.confirm import confirmed
from gristmill.server.replies import by_name, by_turns, stream_entries

T = TypeVar("T")
R = TypeVar("R")

#: States of one call: no script may occupy the server for long.
_STATES_AT_ONCE = 500
#: Blocks of items that one call reads.
_BLOCKS_AT_ONCE = 10


class Ledger(BatchScripts):
    """The ledger on one server."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        super().__init__(client, settings)
        self._slowest = SlowestFilter()

    def key(self, batch: str, part: str) -> str:
        """The name of one of a batch's keys."""
        return self.settings.key(f"batch:{batch}:{part}")

    def create(self, batch: str, token: str, fields: dict[str, Any]) -> Feed:
        """Create `batch` with the state `fields`, or start to feed it again.

        Raises:
            AlreadyFeeding: another producer is feeding the batch, or it is gone before this one has begun.
            DifferentInput: the batch exists with another task or other fixed arguments.
            BatchCancelled: the batch was cancelled before all its items were stored.
            InputError: the batch is to follow a batch that is not on the server.
            ServerError: another version of Gristmill wrote the batches on the server, in another form.
        """
        answer = self._confirmed("create", batch=batch, token=token, lease=PRODUCER_LEASE, fields=by_turns(fields))
        if answer.startswith("missing "):
            _, parameter, name = answer.split()
            raise InputError(invalid_value(parameter, name, "a batch on the server"))
        state = self.state(batch)
        if "task" not in state:
            raise _lost(batch)
        if answer == "cancelled":
            raise cancelled(batch, state)
        if answer == "other":
            raise other_batch(batch, state, fields)
        if answer == "open":
            raise InputError(f"batch {batch!r} gets its items by appends: add --append, or choose another --name")
        if answer == "fed":
            raise AlreadyFeeding(
                f"{state['submitted_by']} is submitting batch {batch!r} now: "
                f"follow it with `gristmill watch {batch}`, or choose another --name"
            )
        return Feed(answer == "created", int(state["stored"]), state.get("sha", ""), "input_ended" in state)

    def append(self, batch: str, token: str, first: int, items: Sequence[str], sha: str, values: str = "") -> None:
        """Store a block of items (JSON texts) from index `first` on, with its `LimitValues`; `sha` covers all so far.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        block = {"first": first, "after": first + len(items), "sha": sha, "items": "\n".join(items), "values": values}
        self._still_ours(batch, self._confirmed("append", batch=batch, token=token, lease=PRODUCER_LEASE, **block))

    def has_block(self, batch: str, token: str, after: int, sha: str) -> bool:
        """Whether this producer has stored the items before index `after`."""
        names = ("producer", "stored", "sha")
        state = confirmed(self.client, self.settings, lambda one: one.hmget(self.key(batch, "state"), *names))
        return bool(state == [token, str(after), sha])

    def producer_heartbeat(self, batch: str, token: str) -> None:
        """Renew the producer's ownership of the batch; works on a full server too.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        answer = self._call("producer_heartbeat", batch=batch, token=token, lease=PRODUCER_LEASE)
        self._still_ours(batch, answer)

    def let_go(self, batch: str, token: str) -> None:
        """Give up the ownership of a batch whose input has not ended, so that another producer can continue at once."""
        self._call("producer_heartbeat", batch=batch, token=token, lease=0)

    def end(self, batch: str, token: str, rejected: int) -> None:
        """Mark the input as ended; the producer skipped `rejected` bad inputs.

        Raises:
            AlreadyFeeding: the batch is gone, or another producer feeds it.
            BatchCancelled: the batch was cancelled.
        """
        self._still_ours(batch, self._confirmed("end", batch=batch, token=token, rejected=rejected))

    def _still_ours(self, batch: str, answer: str) -> None:
        if answer == "cancelled":
            raise cancelled(batch, self.state(batch))
        if answer == "lost":
            raise _lost(batch)

    def take(self, chunk: Chunk, worker: str = "") -> Work | None:
        """Start a chunk on `worker` (its id); None when no item of the chunk has to run.

        If a slot that is gone went on under the message of `chunk`, the work is that of the chunk that it ran.
        """
        answer = self._call("take", **chunk.fields, worker=worker, counting=self.settings.meters)
        return following_work(chunk, by_name(answer)) if answer else None

    def tell_values(self, chunk: Chunk, values: str) -> bool:
        """Tell the `LimitValues` of a chunk's first items, in place of running it; False if somebody else has."""
        return bool(self._call("tell_values", **chunk.fields, values=values))

    def record(self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str, rest: int = 0) -> int:
        """Record outcomes, one for each item; return how many of them were duplicates.

        All runs together took `seconds` seconds. The chunk's last `rest` items have no outcome here and go to other
        slots; -1 means that the chunk continues.
        """
        return self._record(chunk, outcomes, rest, seconds, worker)[0]

    def record_and_go_on(
        self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str, *, overdue: bool = False
    ) -> tuple[int, Work | None]:
        """Record a whole chunk; return the number of duplicates, and the work of this slot's next chunk, or None.

        A slot that is `overdue` gets another chunk only while no other message is on the queue and no attempt is due.
        """
        duplicates, following = self._record(chunk, outcomes, 0, seconds, worker, "alone" if overdue else "always")
        return duplicates, following_work(chunk, by_name(following)) if following else None

    def give_rest(self, chunk: Chunk, outcomes: Sequence[Outcome], seconds: float, worker: str, rest: int) -> bool:
        """Record outcomes as `record`, and give the chunk's last `rest` items to other slots while the chunk goes on.

        Afterwards the slot holds the chunk without those. False: nothing was given, and the record that
        ends the chunk has to say `rest`.
        """
        return bool(self._record(chunk, outcomes, rest, seconds, worker, "begun")[1])

    def _record(
        self, chunk: Chunk, outcomes: Sequence[Outcome], rest: int, seconds: float, worker: str, more: str = "no"
    ) -> tuple[int, Any]:
        how = {**chunk.fields, "rest": rest, "seconds": seconds, "worker": worker, "more": more}
        duplicates, following, threshold = self._call(
            "record",
            **how,
            times=encode(outcome.seconds for outcome in outcomes) if self.settings.meters else "off",
            log_room=self.settings.batch_log_bytes,
            groups=groups(outcomes),
            logs=[part for outcome in outcomes if outcome.log for part in (outcome.index, outcome.log)],
            slow=self._slowest.candidates(chunk, outcomes),
        )
        if threshold:
            self._slowest.learn(chunk, float(threshold))
        return int(duplicates), following

    def heartbeat(
        self,
        worker: str,
        heartbeat: dict[str, Any],
        chunks: Iterable[Chunk],
        ended: Iterable[str] = (),
        runs: Sequence[Mapping[str, Any]] = (),
        counts: Iterable[tuple[str, str, str, int]] | None = None,
    ) -> HeartbeatAnswer:
        """Send the heartbeat of `worker` (its id) and the chunks that it holds; also do what has come due.

        `heartbeat` has the worker's `queue` and `slots`, as `async_items` how many items of an async task each slot can
        run at once, and what else is shown of it. The server repeats the id of each message that the worker is to end
        until a later heartbeat has it in `ended`. `runs` are the items that have run there for long; `RunningItems`
        reads them. `counts` are of the plain Celery tasks that the worker ran: queue, task, field (see
        `TaskCount.take`), number; with None, the heartbeat takes no samples for the meters.
        """
        answer = self._call(
            "heartbeat",
            worker=worker,
            queue=heartbeat["queue"],
            slots=heartbeat["slots"],
            async_items=heartbeat.get("async_items", 1),
            details=dumps(heartbeat),
            chunks=[part for chunk in chunks for part in (chunk.batch, chunk.member)],
            runs=dumps(runs) if runs else "",
            samples=counts is not None,
            ended=ended,
            counts=[part for count in counts or () for part in count],
        )
        return HeartbeatAnswer.of(answer)

    def tend(self, batch: str) -> None:
        """Do what has come due, of this batch first, for somebody who waits for it: no worker may be alive."""
        self._call("tend", batch=batch)

    def pace(self) -> int:
        """Hand out what the rates of batches let by now; return in how many milliseconds to call again, or -1."""
        return int(self._call("pace"))

    def check_schema(self) -> None:
        """Check that this version can read the batches on the server.

        Raises:
            RedisError: another version wrote them, in another form, or the server cannot be reached.
        """
        self._call("states", batches=[], fields=[])

    def state(self, batch: str) -> dict[str, str]:
        """All fields of the batch's state; empty when there is no such batch."""
        self.check_schema()
        return cast(dict[str, str], self.client.hgetall(self.key(batch, "state")))

    def infos(self, batches: Sequence[str]) -> list[BatchInfo]:
        """The counters of those of the batches that are on the server, in the same order. Raises as `check_schema`."""
        portions = [batches[start : start + _STATES_AT_ONCE] for start in range(0, len(batches), _STATES_AT_ONCE)]
        infos = []
        for portion, (gone_before, states) in zip(portions, _ahead(self._states, portions), strict=True):
            for name, values in zip(portion, states, strict=True):
                fields = {field: value for field, value in zip(STATE_FIELDS, values, strict=True) if value is not None}
                if "task" in fields:
                    infos.append(BatchInfo.from_fields(name, fields, int(gone_before)))
        return infos

    def _states(self, batches: Sequence[str]) -> Any:
        return self._confirmed("states", batches=batches, fields=STATE_FIELDS)

    def items(self, batch: str) -> Iterator[tuple[int, str]]:
        """The stored items of the batch, by index, as JSON texts; without the items that a reader consumed."""
        for _, fields in stream_entries(self.client, self.key(batch, "in"), _BLOCKS_AT_ONCE):
            yield from enumerate(fields["items"].split("\n"), int(fields["first"]))

    def stopped(self, chunk: Chunk) -> bool:
        """Whether no more items of the chunk should start: its batch is paused, being cancelled, or deleted."""
        epoch, *stops = self.client.hmget(self.key(chunk.batch, "state"), "epoch", "paused", "cancelling", "finished")
        return epoch != str(chunk.epoch) or any(stops)

    def active(self) -> list[str]:
        """The names of the batches that have not ended, oldest first."""
        return cast(list[str], self.client.zrange(self.settings.key("active"), 0, -1))

    def names(self) -> list[str]:
        """The names of all batches, oldest first."""
        return cast(list[str], self._call("names"))

    def delete(self, batch: str) -> None:
        """Delete every key of the batch.

        Raises:
            InputError: another batch waits for its end, or takes its values.
        """
        if dependent := self._call("forget", batch=batch, actor=actor()):
            raise InputError(f"batch {dependent!r} follows {batch!r}: cancel or delete {dependent!r} first")


def _lost(batch: str) -> AlreadyFeeding:
    return AlreadyFeeding(
        f"this producer no longer feeds batch {batch!r}: somebody deleted it, another producer took over, "
        "or another server did, which lacks its latest items; repeat the command"
    )


def _ahead(get: Callable[[T], R], things: Sequence[T]) -> Iterator[R]:
    """What `get` answers for each thing, in their order; another thread asks for the next one meanwhile."""
    if len(things) < 2:
        yield from map(get, things)
        return
    # A command that reads one answer does not wait for the import.
    from concurrent.futures import ThreadPoolExecutor

    context = copy_context()
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(context.run, get, things[0])
        for thing in things[1:]:
            answer = following.result()
            following = pool.submit(context.run, get, thing)
            yield answer
        yield following.result()
