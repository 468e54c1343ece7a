"""The sources of a task on the command line: which parameter each gives, and the arguments that they make together."""

from collections.abc import Iterator, Sequence

from gristmill.errors import InputError
from gristmill.producer.items.combined import Combined
from gristmill.producer.items.lines import Raw
from gristmill.producer.items.parameter_values import ParameterValues
from gristmill.producer.items.source import Source
from gristmill.tasks.schema import Schema


class TaskArguments(Source):
    """Items that are objects of arguments: each value of a combination under the name of its parameter."""

    name, text = "inputs", False

    def __init__(self, combined: Combined, names: Sequence[str]) -> None:
        self._combined, self._names = combined, names
        self.regular = combined.regular

    def open(self) -> Iterator[Raw]:
        """Yield the arguments of every combination."""
        for raw in self._combined.open():
            if raw.error is not None:
                yield raw
            else:
                assert isinstance(raw.value, list)  # noqa: S101 (what `Combined` yields without an error)
                yield Raw(raw.number, dict(zip(self._names, raw.value, strict=True)))

    def place(self, number: int) -> str:
        """As the combination has it."""
        return self._combined.place(number)


class Parameters:
    """Deals out the parameters of a task to its sources: those that a source names, else the open ones in order."""

    def __init__(self, schema: Schema, fixed: dict[str, object]) -> None:
        self._schema = schema
        self._open = schema.open_parameters(fixed)
        self.names: list[str] = []

    def values_of(self, words: Sequence[str]) -> ParameterValues:
        """The values in the words of a source, and the parameter that they are for, in `names`.

        Raises:
            InputError: a source has values for two parameters, or for none that is left.
        """
        names = [word.partition("=")[0] if "=" in word else "" for word in words]
        parameters = {name for name in names if name in self._schema.parameters}
        if len(parameters) > 1 or (parameters and not parameters.issuperset(names)):
            raise InputError(f"a source gives one parameter, not {', '.join(sorted(parameters))}: put ::: before each")
        if parameters:
            name = parameters.pop()
            self._take(name)
            values = [value for word in words for value in _listed(word.partition("=")[2])]
            return ParameterValues(values, ranges=self._takes_ranges(name))
        return ParameterValues(words, ranges=self._takes_ranges(self.next()))

    def next(self) -> str:
        """Take the next open parameter, for a source that names none.

        Raises:
            InputError: no parameter is left.
        """
        name = next((name for name in self._open if name not in self.names), "")
        if not name:
            takes = ", ".join(self._schema.parameters) or "none"
            raise InputError(f"more sources than open parameters: name them, as in ::: n=1..8 (the task's: {takes})")
        self._take(name)
        return name

    def _take(self, name: str) -> None:
        if name in self.names:
            raise InputError(f"two sources give the parameter {name!r}")
        self.names.append(name)

    def _takes_ranges(self, name: str) -> bool:
        """Whether `1..8` is none of the parameter's values: they are numbers, or their type is not known here."""
        parameter = self._schema.parameters[name]
        return parameter.is_number or parameter.adapter.core_schema["type"] == "any"


def _listed(text: str) -> list[str]:
    """The values between commas; a JSON list or object is one value."""
    return [text] if text[:1] in ("[", "{") else text.split(",")


def task_source(groups: Sequence[Sequence[Source]], names: Sequence[str], bare: str) -> Source:
    """The items of some groups of sources; a single source of the parameter that a bare item fills is as it is."""
    if len(names) == 1 and names[0] == bare:
        return groups[0][0]
    return TaskArguments(Combined(groups), names)
