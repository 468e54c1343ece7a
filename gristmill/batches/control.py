"""Retries, cancels, pauses and resumes a batch. Each control is one Lua call."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import uuid4

from gristmill.batches.chunk import Chunk
from gristmill.batches.scripts import BatchScripts
from gristmill.errors import InputError, invalid_value
from gristmill.server.actor import actor


class Running(NamedTuple):
    """A chunk that a worker runs; `worker` is the worker's id."""

    worker: str
    chunk: Chunk


class Control(BatchScripts):
    """Controls the batches on one server."""

    def retry(self, batch: str, *, cancelled: bool = False, workflow: bool = False) -> int:
        """Release the failed and dead items again, with `cancelled` also the cancelled ones; return their number.

        With `workflow`, the batches that this one follows were retried before. It takes what its source records from
        now on, or has recorded since this batch took its end. If it was cancelled because another one failed, it waits
        for that again; when that has failed once more, nothing changes.

        Raises:
            InputError: the batch is being cancelled, and some of its items still run.
        """
        number = int(self._call("retry", batch=batch, cancelled=cancelled, workflow=workflow))
        if number < 0:
            raise InputError(
                f"batch {batch!r} is being cancelled, and some of its items still run: retry it after they finish"
            )
        return number

    def cancel(self, batch: str, reason: str, killable: Iterable[str] = ()) -> list[Running] | None:
        """Hand out no more chunks, and count the items that do not run as cancelled.

        Returns None when the batch had ended before. The chunks that the workers `killable` (ids) run count as
        cancelled too; the method returns them. These workers learn with their next heartbeat what to end, even if
        the answer of this call is lost.
        """
        answer = self._call("cancel", batch=batch, why=reason, killable=killable)
        if not answer:
            return None
        epoch, *pairs = answer
        numbers = ([int(part) for part in member.split(":")] for member in pairs[1::2])
        chunks = [Chunk(batch, int(epoch), first, count) for first, count in numbers]
        return [Running(worker, chunk) for worker, chunk in zip(pairs[::2], chunks, strict=True)]

    def retry_item(self, batch: str, index: int) -> bool:
        """Release one item again that failed, is dead or was cancelled; False when it is left or succeeded.

        Raises:
            InputError: the batch has no such item, or is being cancelled.
        """
        answer = self._item("retry_item", batch, index)
        if answer == "cancelling":
            raise InputError(f"batch {batch!r} is being cancelled: retry its items after it has ended")
        return answer == "retried"

    def cancel_item(self, batch: str, index: int, reason: str) -> str:
        """Cancel one item; return what it did then: `waiting`, `running`, or `ended` when it had an outcome before.

        Its worker learns with the next heartbeat to end the run, even if the answer of this call is lost.

        Raises:
            InputError: the batch has no such item.
        """
        return self._item("cancel_item", batch, index, why=reason)

    def _item(self, script: str, batch: str, index: int, **arguments: str) -> str:
        answer = str(self._call(script, batch=batch, index=index, **arguments))
        if answer == "missing":
            raise InputError(invalid_value("item", index, f"the index of an item of batch {batch!r}"))
        return answer

    def close(self, batch: str) -> bool:
        """End the input of an open batch; False when it had ended.

        Raises:
            InputError: the batch does not get its items by appends.
        """
        answer = self._call("close", batch=batch)
        if answer == "not_open":
            raise InputError(f"batch {batch!r} was submitted without --append: nothing is open")
        return bool(answer == "closed")

    def pause(self, batch: str) -> bool:
        """Hand out no more chunks until `resume`; False when the batch had ended or was paused already."""
        return bool(self._call("pause", batch=batch, paused=True))

    def resume(self, batch: str) -> bool:
        """Hand out chunks again; False when the batch was not paused."""
        return bool(self._call("pause", batch=batch, paused=False))

    def _call(self, name: str, **arguments: Any) -> Any:
        # The client repeats a call whose answer was lost: by its token the server knows it, and answers the same.
        return self._confirmed(name, token=uuid4().hex, actor=actor(), **arguments)
