"""The items of a source, checked against their task, as the JSON texts that the server stores."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gristmill.errors import InputError
from gristmill.producer.items import ITEM_BYTES, Raw, Source
from gristmill.producer.items.program_inputs import ProgramInputs
from gristmill.producer.items.source import InMemory
from gristmill.tasks.bare_items import BareItems
from gristmill.tasks.remote import SubmittableTask
from gristmill.tasks.schema import ItemError

#: Items of a lot, and its bytes, at most.
LOT_ITEMS, LOT_BYTES = 400, 64 << 10


class ItemLot(NamedTuple):
    """Items that follow one another in their source: the number of the first one there, and their JSON texts."""

    number: int
    texts: list[str]


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
        self.fixed = task.schema.fixed(fixed)
        self.parameter = task.schema.open_parameter(self.fixed)
        self.on_bad = on_bad
        self.rejected = 0
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
        return (text for lot in self.lots() for text in lot.texts)

    def lots(self) -> Iterator[ItemLot]:
        """The items in lots: of a list LOT_ITEMS at once, and of a program's files; others each as soon as it comes."""
        self.rejected = 0
        source, at_once = self.source, BareItems.of(self.task.schema, self.fixed, self.parameter)
        if isinstance(source, InMemory):
            for number, values in source.lots(LOT_ITEMS):
                raws = (source.raw(each, value) for each, value in enumerate(values, number))
                yield from self._lots(at_once, number, values, raws)
        elif isinstance(source, ProgramInputs) and source.regular:
            for group in _groups(source.open()):
                number, values = group[0].number, [raw.value for raw in group]
                in_a_row = group[-1].number - number == len(group) - 1
                yield from self._lots(at_once if in_a_row else None, number, values, group)
        else:
            for number, text in self._one_by_one(source.open()):
                yield ItemLot(number, [text])

    def _lots(
        self, at_once: BareItems | None, number: int, values: list[Any], raws: Iterable[Raw]
    ) -> Iterator[ItemLot]:
        """The lots of some neighbours, which `raws` has one by one."""
        texts = at_once.texts(values) if at_once else None
        if texts is None or sum(map(len, texts)) > LOT_BYTES:
            yield from _neighbours(self._one_by_one(raws))
        else:
            yield ItemLot(number, texts)

    def _one_by_one(self, raws: Iterable[Raw]) -> Iterator[tuple[int, str]]:
        item, fixed, parameter = self.task.schema.item, self.fixed, self.parameter
        columns = self.source.columns() is not None
        for number, value, error in raws:
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
            yield number, text

    def _without_empty_cells(self, row: Any) -> dict[str, Any]:
        """A row of a table, where an empty cell means the default of its parameter."""
        parameters = self.task.schema.parameters
        return {name: text for name, text in row.items() if text != "" or parameters[name].required}

    def _reject(self, message: str) -> None:
        if self.on_bad is None:
            raise InputError(message)
        self.rejected += 1
        self.on_bad(message)


def _groups(raws: Iterable[Raw]) -> Iterator[list[Raw]]:
    """Items in groups of LOT_ITEMS, or of about LOT_BYTES, at most; one that is no text ends its group."""
    group: list[Raw] = []
    size = 0
    for raw in raws:
        group.append(raw)
        size += len(raw.value) if isinstance(raw.value, str) else LOT_BYTES
        if len(group) == LOT_ITEMS or size >= LOT_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _neighbours(items: Iterable[tuple[int, str]]) -> Iterator[ItemLot]:
    """Lots of items whose numbers follow one another, each of about LOT_BYTES at most."""
    lot, size = ItemLot(0, []), 0
    for number, text in items:
        if size > LOT_BYTES or number != lot.number + len(lot.texts):
            if lot.texts:
                yield lot
            lot, size = ItemLot(number, []), 0
        lot.texts.append(text)
        size += len(text)
    if lot.texts:
        yield lot


def _hint(columns: Sequence[str], parameters: Sequence[str]) -> str:
    """What would make the items fit: another separator, or fewer columns."""
    for separator, text in ((";", ";"), ("\t", "\\t"), ("|", "|"), (",", ",")):
        if len(columns) == 1 and separator in columns[0]:
            return f"; did you mean --separator {text!r}?"
    common = [column for column in columns if column in parameters]
    return f"; --columns {','.join(common)} reads these columns only" if common else ""
