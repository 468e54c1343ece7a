"""The items that a Python program gives."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gristmill.errors import InputError, invalid_value
from gristmill.producer.batch import Batch
from gristmill.producer.batch_parameter import BatchParameter
from gristmill.producer.items import Raw, Source
from gristmill.producer.items.of_batch import ValuesOfBatch


class Values(Source):
    """Items that are Python values."""

    name, text = "items", False

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = values
        self.regular = iter(values) is not values

    def open(self) -> Iterator[Raw]:
        for number, value in enumerate(self._values):
            yield self.raw(number, value)

    def raw(self, number: int, value: Any) -> Raw:
        # A task that this program has no module of may take batches.
        return Raw(number, value.name if isinstance(value, BatchParameter) else value)

    def place(self, number: int) -> str:
        return f"item {number}"


class ListedValues(Values):
    """The same in memory."""

    def __init__(self, values: Sequence[Any]) -> None:
        super().__init__(values)
        self._listed = values

    def lots(self, most: int) -> Iterator[tuple[int, list[Any]]]:
        for number in range(0, len(self._listed), most):
            yield number, list(self._listed[number : number + most])


def source_of(items: Any, has_one: bool) -> Source:
    """The source of what a program gives as `items`.

    Raises:
        InputError: that is no iterable of items.
    """
    if isinstance(items, Batch):
        return ValuesOfBatch(items.name)
    if items is None and has_one:
        return Values([{}])
    # One with an `__iter__` of its own may have other items than slices have.
    if type(items) in (list, tuple, range):
        return ListedValues(items)
    if isinstance(items, Iterable) and not isinstance(items, str | bytes | bytearray | Mapping):
        return Values(items)
    raise InputError(invalid_value("items", items, "a list or another iterable of items"))


def fixed_arguments(arguments: Any) -> Mapping[str, Any]:
    """The arguments that all items share, as a program gives them in `set`.

    Raises:
        InputError: they are no dict.
    """
    if arguments is None:
        return {}
    if isinstance(arguments, Mapping):
        return arguments
    raise InputError(invalid_value("set", arguments, "a dict of arguments by parameter"))
