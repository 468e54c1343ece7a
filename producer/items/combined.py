"""Items from several sources: every combination of them, or those at the same place where sources are linked."""

from collections.abc import Iterator, Sequence
from itertools import product

from gristmill.errors import InputError
from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source

#: The values of a combination, one from each source.
Row = list[object]


class Combined(Source):
    """Every combination of the items of some groups of sources; the last group changes fastest.

    The sources of a group are linked: a row is what they have at one place, up to the end of the shortest. An item is
    the list of its values. The first group's first source is read as it comes, once for each
    pass; the items of all others are held in memory.
    """

    name, text = "inputs", True

    def __init__(self, groups: Sequence[Sequence[Source]]) -> None:
        self._groups = groups
        self.regular = all(source.regular for group in groups for source in group)
        self._values_of: dict[int, list[object]] = {}

    def open(self) -> Iterator[Raw]:
        """Yield every combination; the number counts them."""
        rest = [self._rows(group) for group in self._groups[1:]]
        number = 0
        for row in self._first_rows():
            if isinstance(row, Raw):
                number += 1
                yield Raw(number, None, row.error)
                continue
            for others in product(*rest):
                number += 1
                yield Raw(number, [*row, *(value for other in others for value in other)])

    def place(self, number: int) -> str:
        """The place of a combination."""
        return f"input {number}"

    def _first_rows(self) -> Iterator[Row | Raw]:
        """The rows of the first group as its first source gives them; a Raw is an error."""
        first, *linked = self._groups[0]
        columns = [self._values(source) for source in linked]
        values = self._good_values(first)
        if not columns:
            yield from ([value] if not isinstance(value, Raw) else value for value in values)
            return
        for at in range(min(map(len, columns))):
            while isinstance(value := next(values, None), Raw):
                yield value
            if value is None:
                return
            yield [value, *(column[at] for column in columns)]

    def _good_values(self, source: Source) -> Iterator[object]:
        """The values of a source; of a bad item, a Raw that says where it is."""
        for raw in source.open():
            yield raw.value if raw.error is None else Raw(0, None, f"{source.place(raw.number)}: {raw.error}")

    def _rows(self, group: Sequence[Source]) -> list[Row]:
        return [list(row) for row in zip(*map(self._values, group), strict=False)]

    def _values(self, source: Source) -> list[object]:
        """The values of a source, read once and held."""
        if id(source) not in self._values_of:
            values = []
            for value in self._good_values(source):
                if isinstance(value, Raw):
                    raise InputError(str(value.error))
                values.append(value)
            self._values_of[id(source)] = values
        return self._values_of[id(source)]
