"""Several sources, one after the other."""

from collections.abc import Iterator, Sequence

from gristmill.errors import InputError
from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source

#: The numbers of a source's items begin at a multiple of this.
_SPAN = 1 << 48


class Concatenated(Source):
    """The items of each source, in the order of the sources.

    Raises:
        InputError: some have columns and others do not, or not the same ones.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self.name = ", ".join(source.name for source in sources)
        self.regular = all(source.regular for source in sources)
        self.text = sources[0].text
        first = sources[0]
        for other in sources[1:]:
            if other.text != first.text or set(other.columns() or ()) != set(first.columns() or ()):
                raise InputError(f"{other.name}: has another form, or other columns, than {first.name}")

    def open(self) -> Iterator[Raw]:
        """Yield every item."""
        for place, source in enumerate(self._sources):
            for raw in source.open():
                yield raw._replace(number=place * _SPAN + raw.number)

    def columns(self) -> tuple[str, ...] | None:
        """Those of the first source."""
        return self._sources[0].columns()

    def place(self, number: int) -> str:
        """As the item's source has it."""
        place, own = divmod(number, _SPAN)
        return self._sources[place].place(own)
