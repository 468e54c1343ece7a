"""The items of a source, checked against their task, as the JSON texts that the server stores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gristmill.errors import InputError
from gristmill.producer.items import ITEM_BYTES, Source
from gristmill.tasks.remote import SubmittableTask
from gristmill.tasks.schema import ItemError


class CheckedItems:
    """Yields each item of `source` as JSON text; may be iterated again when the source is regular.

    `on_bad` is called with the error of each bad item, which is then skipped and counted in `rejected`; without it a
    bad item raises an InputError with its place.
    """

    def __init__(
        self,
        task: SubmittableTask,
        source: Source,
        fixed: Mapping[str, Any],
        on_bad: Callable[[str], None] | None = None,
    ) -> None:
        self.task = task
        self.source = source
        self.fixed = dict(task.schema.fixed(fixed))
        self.parameter = task.schema.open_parameter(self.fixed)
        self.on_bad = on_bad
        self.rejected = 0
        self._number = 0
        self._check_shape()

    def _check_shape(self) -> None:
        schema, columns = self.task.schema, self.source.columns()
        required = schema.open_parameters(self.fixed)
        if columns is not None:
            for column in columns:
                if column not in schema.parameters:
                    takes = ", ".join(schema.parameters)
                    raise InputError(
                        f"{self.source.name}: unknown column {column!r} (the task's parameters: {takes})"
                        + _hint(columns, [*schema.parameters])
                    )
            for name in required:
                if name not in columns:
                    raise InputError(f"{self.source.name}: missing column {name!r} (its columns: {', '.join(columns)})")
        elif self.source.text and len(required) > 1:
            raise InputError(f"task {self.task.name!r}: an item gives {', '.join(required)}: use csv or jsonl")

    def __iter__(self) -> Iterator[str]:
        self.rejected = 0
        item, fixed, parameter = self.task.schema.item, self.fixed, self.parameter
        columns = self.source.columns() is not None
        for number, value, error in self.source.open():
            try:
                if error is not None:
                    raise ItemError(error)
                if columns:
                    value = self._without_empty_cells(value)  # noqa: PLW2901
                text = item(value, fixed, parameter, columns=columns)
                if len(text) > ITEM_BYTES // 4 and len(text.encode()) > ITEM_BYTES:
                    raise ItemError("the item is longer than 1 MiB")
            except ItemError as bad:
                self._reject(f"{self.source.place(number)}: {bad}")
                continue
            self._number = number
            yield text

    def place(self) -> str:
        """The place in the source of the item that was yielded last."""
        return self.source.place(self._number)

    def _without_empty_cells(self, row: Any) -> dict[str, Any]:
        """A row of a table, where an empty cell means the default of its parameter."""
        parameters = self.task.schema.parameters
        return {name: text for name, text in row.items() if text != "" or parameters[name].required}

    def _reject(self, message: str) -> None:
        if self.on_bad is None:
            raise InputError(message)
        self.rejected += 1
        self.on_bad(message)


def _hint(columns: Sequence[str], parameters: Sequence[str]) -> str:
    """What would make the items fit: another separator, or fewer columns."""
    for separator, text in ((";", ";"), ("\t", "\\t"), ("|", "|"), (",", ",")):
        if len(columns) == 1 and separator in columns[0]:
            return f"; did you mean --separator {text!r}?"
    common = [column for column in columns if column in parameters]
    return f"; --columns {','.join(common)} reads these columns only" if common else ""
