"""The items of a source as the inputs of a program: text, a list of texts, or columns by name."""

from collections.abc import Iterator

from gristmill.producer.items.lines import Raw
from gristmill.producer.items.source import Source
from gristmill.tasks.program.template import text_of


class ProgramInputs:
    """The inputs of a program, as its task takes them."""

    text = False

    def __init__(self, source: Source) -> None:
        self._source = source
        self.name, self.regular = source.name, source.regular

    def open(self) -> Iterator[Raw]:
        """Yield every input."""
        for raw in self._source.open():
            yield raw if raw.error is not None else Raw(raw.number, _input(raw.value))

    def columns(self) -> None:
        """None: columns are part of the input."""
        return

    def place(self, number: int) -> str:
        """As the source has it."""
        return self._source.place(number)


def _input(value: object) -> object:
    """A value as the argument `input` of the task; the ledger takes an object for one of arguments."""
    if isinstance(value, dict):
        return {"input": value}
    if isinstance(value, list):
        return value[0] if len(value) == 1 else value
    return text_of(value)
