"""Retries, cancels, pauses and resumes a batch. Each control is one Lua call."""

from collections.abc import Iterable
from typing import NamedTuple

from redis import Redis

from gristmill.batches.chunk import Chunk
from gristmill.batches.scripts import script
from gristmill.config.settings import Settings
from gristmill.errors import InputError


class Running(NamedTuple):
    """A chunk that a worker runs; `worker` is the worker's id."""

    worker: str
    chunk: Chunk


class Control:
    """Controls the batches on one server."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.settings = settings
        self._scripts = {name: script(client, name) for name in ("retry", "cancel", "pause")}

    def retry(self, batch: str, *, cancelled: bool = False) -> int:
        """Release the failed and dead items again, with `cancelled` also the cancelled ones; return their number.

        Raises:
            InputError: the batch is being cancelled, and some of its items still run.
        """
        number = int(self._scripts["retry"](args=[self.settings.prefix, batch, int(cancelled)]))
        if number < 0:
            raise InputError(
                f"batch {batch!r} is being cancelled, and some of its items still run: retry it after they finish"
            )
        return number

    def cancel(self, batch: str, reason: str, killable: Iterable[str] = ()) -> list[Running] | None:
        """Hand out no more chunks, and count the items that do not run as cancelled.

        Returns None when the batch had ended before. The chunks that the workers `killable` (ids) run count as
        cancelled too; the method returns them, and the caller ends them.
        """
        answer = self._scripts["cancel"](args=[self.settings.prefix, batch, reason, *killable])
        if not answer:
            return None
        epoch, *pairs = answer
        numbers = ([int(part) for part in member.split(":")] for member in pairs[1::2])
        chunks = [Chunk(batch, int(epoch), first, count) for first, count in numbers]
        return [Running(worker, chunk) for worker, chunk in zip(pairs[::2], chunks, strict=True)]

    def pause(self, batch: str) -> bool:
        """Hand out no more chunks until `resume`; False when the batch had ended or was paused already."""
        return self._pause(batch, 1)

    def resume(self, batch: str) -> bool:
        """Hand out chunks again; False when the batch was not paused."""
        return self._pause(batch, 0)

    def _pause(self, batch: str, paused: int) -> bool:
        return bool(self._scripts["pause"](args=[self.settings.prefix, batch, paused]))
