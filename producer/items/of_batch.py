"""The items of a batch that takes them from another one: none that a producer would send."""

from collections.abc import Iterator

from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source


class ValuesOfBatch(Source):
    """Stands where a batch has no other source: the server makes the items."""

    regular, text = True, False

    def __init__(self, batch: str) -> None:
        self.name = f"batch {batch!r}"

    def open(self) -> Iterator[Raw]:
        """Yield nothing."""
        return iter(())

    def place(self, number: int) -> str:
        """`item 3 of batch 'pages'`."""
        return f"item {number} of {self.name}"
