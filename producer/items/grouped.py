"""Items in groups: an item is the list of so many values of a source."""

from collections.abc import Iterator

from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source


class Grouped(Source):
    """Lists of `size` neighbouring items of a source; the last may be shorter. A bad item is in no list."""

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._count = source, size
        self.name, self.regular, self.text = source.name, source.regular, source.text

    def open(self) -> Iterator[Raw]:
        """Yield every list, with the number of its first item."""
        values: list[object] = []
        first = count = 0
        for raw in self._source.open():
            if raw.error is not None:
                yield raw
                continue
            first = first if values else raw.number
            values += raw.value if isinstance(raw.value, list) else [raw.value]
            count += 1
            if count == self._count:
                yield Raw(first, values)
                values, count = [], 0
        if values:
            yield Raw(first, values)

    def place(self, number: int) -> str:
        """As the source has it."""
        return self._source.place(number)
