"""Items from several sources: every combination of them, or those at the same place where sources are linked."""

from collections.abc import Iterator, Sequence
from itertools import product

from gristmill.errors import InputError
from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source

#: The values of a combination, one from each source.
Row = list[object]


class Combined:
    """Every combination of the items of some groups of sources; the last group changes fastest.

    The sources of a group are linked: the group has as many rows as its longest source has items, and a shorter one
    begins again. An item is the list of its values. The first group's first source is read as it comes, once for each
    pass; the items of all others are held in memory.
    """

    name, text = "inputs", True

    def __init__(self, groups: Sequence[Sequence[Source]]) -> None:
        self._groups = groups
        self.regular = all(source.regular for group in groups for source in group)
        self._values_of: dict[int, list[object]] = {}

    def open(self) -> Iterator[Raw]:
        """Yield every combination; the number counts them."""
        rest = [self._rows(place) for place in range(1, len(self._groups))]
        number = 0
        for row in self._first_rows():
            if isinstance(row, Raw):
                number += 1
                yield Raw(number, None, row.error)
                continue
            for others in product(*rest):
                number += 1
                yield Raw(number, [*row, *(value for other in others for value in other)])

    def columns(self) -> None:
        """None: the values have no names."""
        return

    def place(self, number: int) -> str:
        """The place of a combination."""
        return f"input {number}"

    def _first_rows(self) -> Iterator[Row | Raw]:
        """The rows of the first group as its first source gives them; a Raw is an error."""
        first, *linked = self._groups[0]
        columns = [self._values(source) for source in linked]
        longest = max(map(len, columns), default=0)
        count = 0
        earlier: list[object] = []
        for raw in first.open():
            if raw.error is not None:
                yield Raw(raw.number, None, f"{first.place(raw.number)}: {raw.error}")
                continue
            if count < longest:
                earlier.append(raw.value)
            yield [raw.value, *_at(columns, count)]
            count += 1
        while earlier and count < longest:
            yield [earlier[count % len(earlier)], *_at(columns, count)]
            count += 1

    def _rows(self, place: int) -> list[Row]:
        columns = [self._values(source) for source in self._groups[place]]
        if not all(columns):
            return []
        return [_at(columns, count) for count in range(max(map(len, columns)))]

    def _values(self, source: Source) -> list[object]:
        """The items of a source, read once."""
        if id(source) not in self._values_of:
            values = []
            for raw in source.open():
                if raw.error is not None:
                    raise InputError(f"{source.place(raw.number)}: {raw.error}")
                values.append(raw.value)
            self._values_of[id(source)] = values
        return self._values_of[id(source)]


def _at(columns: Sequence[Sequence[object]], count: int) -> Row:
    """The values at one place of linked sources, of which a shorter one begins again."""
    return [column[count % len(column)] for column in columns if column]
