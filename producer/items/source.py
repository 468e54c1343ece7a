"""What every source of items has."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from gristmill.producer.items.lines import Raw


class Source(Protocol):
    """Where items come from, the base of all sources. Every method raises InputError when the source cannot be read."""

    #: its name in messages: a path, "standard input", "arguments"
    name: str
    #: whether `open` may be called more than once
    regular: bool
    #: whether values are text that the task's schema converts, not typed JSON
    text: bool

    def open(self) -> Iterator[Raw]:
        """Yield every item, good or bad, from the first one on, as soon as it can be read."""

    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns of a table, read without using up items; None where values have no such names."""
        return None

    def place(self, number: int) -> str:
        """The place of the item of that number, as messages name it: "items.txt:3", "argument 3"."""


@runtime_checkable
class InMemory(Source, Protocol):
    """A source whose values are in memory."""

    def lots(self, most: int) -> Iterator[tuple[int, list[Any]]]:
        """The same as `open`, but values, up to `most` at once, with the number of the first one."""

    def raw(self, number: int, value: Any) -> Raw:
        """The item that `open` yields for one of the values."""
