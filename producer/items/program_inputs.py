"""The items of a source as the inputs of a program: text, a list of texts, or columns by name."""

from collections.abc import Iterable, Iterator

from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source
from gristmill.tasks.program.template import text_of

_NUL = "has a NUL character, which no program can be given"


class ProgramInputs(Source):
    """The inputs of a program, as its task takes them; a `separator`, if any, splits each text into columns."""

    text = False

    def __init__(self, source: Source, separator: str = "") -> None:
        self._source, self._separator = source, separator
        self.name, self.regular = source.name, source.regular

    def open(self) -> Iterator[Raw]:
        """Yield every input: text, a list of texts, or columns under the name of the argument."""
        for raw in self._source.open():
            if raw.error is not None:
                yield raw
            elif isinstance(raw.value, dict):
                # The ledger takes an object for one of arguments.
                columns = {name: text_of(value) for name, value in raw.value.items()}
                yield _checked(raw.number, {"input": columns}, columns.values())
            else:
                texts = self._texts(raw.value)
                yield _checked(raw.number, texts[0] if len(texts) == 1 else texts, texts)

    def place(self, number: int) -> str:
        """As the source has it."""
        return self._source.place(number)

    def _texts(self, value: object) -> list[str]:
        texts = [text_of(part) for part in value] if isinstance(value, list) else [text_of(value)]
        return [part for text in texts for part in text.split(self._separator)] if self._separator else texts


def _checked(number: int, value: object, texts: Iterable[str]) -> Raw:
    return Raw(number, None, _NUL) if any("\0" in text for text in texts) else Raw(number, value)
