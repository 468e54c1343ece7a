"""What others ask of a worker: to take no messages, to end after that, to have another number of slots."""

from collections.abc import Sequence
from typing import NamedTuple, Self


class Wish(NamedTuple):
    """What is asked of a worker: `drain` says by whom it is to take no messages, empty if it is to take some.

    With `stop` it ends once it runs none. `slots` is how many it should have; None: as many as it started with.
    """

    drain: str = ""
    stop: bool = False
    slots: int | None = None

    @classmethod
    def of(cls, fields: Sequence[str | None]) -> Self:
        """What the server answers: see `wish_of` in workers.lua."""
        drain, stop, slots = fields
        return cls(drain or "", bool(stop), None if slots is None else int(slots))

    @property
    def is_held(self) -> bool:
        """Whether the worker is to take no messages."""
        return bool(self.drain) or self.slots == 0


NOTHING = Wish()
