"""Appends to an open batch: several producers add items side by side, each under a token of its own."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from gristmill.batches.feed import PRODUCER_LEASE, AlreadyFeeding, Feed, cancelled, other_batch
from gristmill.batches.ledger import Ledger
from gristmill.batches.scripts import BatchScripts
from gristmill.config.settings import Settings
from gristmill.errors import InputError, invalid_value
from gristmill.server.confirm import confirmed
from gristmill.server.replies import by_turns

#: What the token of an append begins with when nobody has named it.
NAMELESS = "~"
#: Values that a batch remembers for `dedupe_by`; appends.lua has the same number.
VALUES_MOST = 1_000_000


@dataclass
class AppendProgress:
    """How far an append is: of its input's items so many were read, and so many of these added to the batch."""

    position: int = 0
    added: int = 0

    @property
    def present(self) -> int:
        """Items that the batch had already, by `dedupe_by`."""
        return self.position - self.added


class Append(BatchScripts):
    """One append, named by `token`: stores the blocks of its items, as a feeder asks for it.

    `value_of` returns the value, as JSON text, by which an item is deduplicated.
    """

    def __init__(self, client: Redis, settings: Settings, token: str, value_of: Callable[[str, str], str]) -> None:
        super().__init__(client, settings)
        self.token = token
        self.progress = AppendProgress()
        #: The parameter by whose values the batch is deduplicated, once `begin` has asked.
        self.dedupe_by: str | None = None
        self._value_of = value_of

    def begin(self, batch: str, producer: str, fields: dict[str, Any]) -> Feed:
        """Create the open batch with the state `fields`, if there is none, and begin the append or go on with it.

        Raises:
            AlreadyFeeding: another producer goes on with this append now.
            DifferentInput: the batch has another task or other fixed arguments.
            InputError: the batch is closed, is not open for appends, or is deduplicated by another parameter.
            BatchCancelled: the batch was cancelled.
        """
        call = {"batch": batch, "producer": producer, "lease": PRODUCER_LEASE, "fields": by_turns(fields)}
        answer = json.loads(self._call("open", **call))
        status = answer["status"]
        if status not in ("created", "open"):
            raise self._refusal(batch, status, fields)
        self.progress.position, self.progress.added = answer["position"], answer["added"]
        self.dedupe_by = answer.get("dedupe_by")
        return Feed(status == "created", answer["position"], answer["sha"], "ended" in answer)

    def _refusal(self, batch: str, status: str, fields: dict[str, Any]) -> Exception:
        state = Ledger(self.client, self.settings).state(batch)
        if "task" not in state:
            return self._unusable(batch, "lost")
        if status == "other":
            return other_batch(batch, state, fields)
        if status == "dedupe":
            before = state.get("dedupe_by") or "no parameter"
            expected = f"{before}, as batch {batch!r} has it"
            return InputError(invalid_value("dedupe_by", fields["dedupe_by"], expected))
        if status == "not_open":
            return InputError(f"batch {batch!r} was submitted without --append, so it takes no more items")
        return self._unusable(batch, status)

    def _unusable(self, batch: str, status: str) -> Exception:
        if status == "cancelled":
            return cancelled(batch, Ledger(self.client, self.settings).state(batch))
        if status == "closed":
            return InputError(f"batch {batch!r} is closed, so it takes no more items")
        if status == "full":
            return InputError(
                f"batch {batch!r} remembers {VALUES_MOST:,} values of {self.dedupe_by}, the most that a batch can: "
                f"close it, and append to another one"
            )
        if status == "fed":
            return AlreadyFeeding(f"another producer goes on with the append {self.token!r} to batch {batch!r} now")
        return AlreadyFeeding(f"batch {batch!r} was deleted, or another producer goes on with this append")

    def items(self, batch: str) -> Iterator[tuple[int, str]]:  # noqa: ARG002
        """Nothing: the items of one append do not stand together. Their SHA-256 tells whether the input is the same."""
        yield from ()

    def append(self, batch: str, token: str, first: int, items: Sequence[str], sha: str, values: str = "") -> None:
        """Store the items from position `first` of the input on; `token` is the producer's.

        Raises:
            AlreadyFeeding: another producer goes on with this append.
            InputError: the batch was closed, or remembers as many values as it can.
            BatchCancelled: the batch was cancelled.
        """
        self._add(batch, token, first, items, sha, values)

    def end(self, batch: str, token: str, rejected: int) -> None:
        """Say that the append has ended; raises as `append`."""
        self._add(batch, token, self.progress.position, (), "", rejected=rejected, last=True)

    def _add(
        self,
        batch: str,
        producer: str,
        position: int,
        items: Sequence[str],
        sha: str,
        values: str = "",
        rejected: int = 0,
        *,
        last: bool = False,
    ) -> None:
        name = self.dedupe_by
        status, added = self._call(
            "add",
            batch=batch,
            producer=producer,
            lease=PRODUCER_LEASE,
            position=position,
            count=len(items),
            sha=sha,
            rejected=rejected,
            last=last,
            items="\n".join(items),
            values=values,
            digests=[_digest(self._value_of(item, name)) for item in items] if name else [],
        )
        if status != "stored":
            raise self._unusable(batch, status)
        self.progress.position, self.progress.added = position + len(items), int(added)

    def has_block(self, batch: str, token: str, after: int, sha: str) -> bool:
        """Whether this producer has stored its items before position `after`."""
        name = self.settings.key(f"batch:{batch}:appends")
        text = confirmed(self.client, self.settings, lambda one: one.hget(name, self.token))
        append = json.loads(text) if text else {}
        return bool([append.get(each) for each in ("producer", "position", "sha")] == [token, after, sha])

    def producer_heartbeat(self, batch: str, token: str) -> None:
        """Keep the append; raises as `append`."""
        status = self._call("append_heartbeat", batch=batch, producer=token, lease=PRODUCER_LEASE)
        if status != "alive":
            raise self._unusable(batch, status)

    def let_go(self, batch: str, token: str) -> None:
        """Let another producer go on with the append at once."""
        self._call("append_heartbeat", batch=batch, producer=token, lease=0)

    def _call(self, name: str, **arguments: Any) -> Any:
        return self._confirmed(name, token=self.token, **arguments)


def _digest(value: str) -> str:
    """12 bytes of a hash, as 16 characters."""
    return base64.b64encode(hashlib.blake2b(value.encode(), digest_size=12).digest()).decode()
