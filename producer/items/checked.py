"""The items of a source, checked against their task, as the JSON texts that the server stores."""

from collections.abc import Callable, Iterator, Mapping
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
                    raise InputError(f"{self.source.name}: unknown column {column!r} (the task's parameters: {takes})")
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

    def _reject(self, message: str) -> None:
        if self.on_bad is None:
            raise InputError(message)
        self.rejected += 1
        self.on_bad(message)
