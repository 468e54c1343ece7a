"""Controls a batch that is there: what failed again, no more of it, nothing for now. Each is one Lua call."""

from collections.abc import Iterable
from typing import NamedTuple

from redis import Redis

from gristmill.batches.chunk import Chunk
from gristmill.batches.scripts import script
from gristmill.config.settings import Settings
from gristmill.errors import InputError


class Running(NamedTuple):
    """A chunk whose message a worker (its node name) has: it runs that, or goes on with another under it."""

    worker: str
    chunk: Chunk


class Control:
    """The controls of the batches on one server."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.settings = settings
        self._scripts = {name: script(client, name) for name in ("retry", "cancel", "pause")}

    def retry(self, batch: str, *, cancelled: bool = False) -> int:
        """Give back the failed and dead items, with `cancelled` also the cancelled ones; answers how many.

        Raises:
            InputError: the batch is being cancelled, and items of it still run.
        """
        number = int(self._scripts["retry"](args=[self.settings.prefix, batch, int(cancelled)]))
        if number < 0:
            raise InputError(f"{batch!r} is being cancelled and items of it still run: retry it once it has ended")
        return number

    def cancel(self, batch: str, reason: str, killable: Iterable[str] = ()) -> list[Running] | None:
        """Hand out nothing more, and count what does not run as cancelled; None when the batch had ended before.

        What the workers `killable` run counts as cancelled too, and is answered: the caller ends it.
        """
        found = self._scripts["cancel"](args=[self.settings.prefix, batch, reason, *killable])
        if not found:
            return None
        epoch, *pairs = found
        numbers = ([int(part) for part in member.split(":")] for member in pairs[1::2])
        chunks = [Chunk(batch, int(epoch), first, count) for first, count in numbers]
        return [Running(worker, chunk) for worker, chunk in zip(pairs[::2], chunks, strict=True)]

    def pause(self, batch: str) -> bool:
        """Hand out nothing more until it is resumed; False when that changes nothing."""
        return self._pause(batch, 1)

    def resume(self, batch: str) -> bool:
        """Hand out again; False when it was not paused."""
        return self._pause(batch, 0)

    def _pause(self, batch: str, paused: int) -> bool:
        return bool(self._scripts["pause"](args=[self.settings.prefix, batch, paused]))
