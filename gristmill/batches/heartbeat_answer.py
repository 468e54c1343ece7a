"""What the server answers to a worker's heartbeat."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from gristmill.batches.wish import Wish


class HeartbeatAnswer(NamedTuple):
    """`items` is how many outcomes the worker has recorded; `is_new` says that the registry did not have it.

    `kills` has the ids of the messages that it is to end. In `pace_ms` ms it is to call `Ledger.pace`, with -1
    not at all. `wish` is what others ask of it. With `has_schedules` it is to look at schedules, with `has_notices` at
    notices: there are some. With `has_seat` the fleet lacks a watcher.
    """

    items: int
    is_new: bool
    kills: list[str]
    pace_ms: int
    wish: Wish
    has_schedules: bool
    has_notices: bool
    has_seat: bool

    @classmethod
    def of(cls, answer: Sequence[Any]) -> Self:
        """What heartbeat.lua answers."""
        items, is_new, kills, pace_ms, wish, *flags = answer
        return cls(int(items), bool(is_new), list(kills), int(pace_ms), Wish.of(wish), *map(bool, flags))
