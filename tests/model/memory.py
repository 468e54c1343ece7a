"""What calls were answered: those that find the keys which they touch as they were before need not be made again.

A script that finds each key that it touched as it found it before, at the same time, does the same again, whatever the
other keys are. So the steps of actors that have nothing to do with each other are made once, and not once for every
order in which they may come.
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from tests.model.store import Change, Keys


class Calls(NamedTuple):
    """The answers of calls, and the keys that they changed."""

    answers: Sequence[Any]
    changes: Sequence[Change]


class Memory:
    """The calls that were made, by their name (the time and the commands) and by what they found."""

    def __init__(self) -> None:
        self._calls: dict[Hashable, dict[tuple[str, ...], dict[tuple[bytes | None, ...], Calls]]] = {}

    def recall(self, name: Hashable, keys: Keys) -> Calls | None:
        """The calls of a name if they were made from keys that are as these, wherever they looked."""
        for touched, by_contents in self._calls.get(name, {}).items():
            if calls := by_contents.get(tuple(map(keys.get, touched))):
                return calls
        return None

    def keep(self, name: Hashable, keys: Keys, touched: Iterable[str], calls: Calls) -> None:
        """Remember calls, and the names of the keys that they touched in `keys`."""
        names = tuple(sorted(touched))
        self._calls.setdefault(name, {}).setdefault(names, {})[tuple(map(keys.get, names))] = calls
