"""The values of a batch, as its task returned them, and one after another, without a gap."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from gristmill.batches.info import BatchInfo, State
from gristmill.batches.result import Result
from gristmill.errors import BatchCancelled, InputError, ItemFailed, excerpt
from gristmill.server.connection import reaching

T = TypeVar("T")
#: Makes the value that a task returned of the one that JSON has; raises ValueError with what it expected.
Read = Callable[[Any], Any]


class ValueOrder:
    """Takes the results of the batch `name` by index, and gives their values: as JSON has them, or through `read`."""

    def __init__(self, name: str, read: Read | None) -> None:
        self._name, self._read = name, read
        self._index = 0

    def value(self, result: Result) -> Any:
        """The value of the next result.

        Raises:
            ItemFailed: the item did not succeed.
            InputError: an item before this one was consumed, or the value does not fit the return annotation.
        """
        self._check_index(result.index)
        if result.state != "succeeded":
            raise ItemFailed(_failure(self._name, result), result)
        self._index += 1
        return _typed(self._name, self._read, result).value

    def check_end(self, info: BatchInfo) -> None:
        """Check, with the counters of a batch that has ended, that no value is missing.

        Raises:
            InputError: values were consumed.
            BatchCancelled: the batch was cancelled before all its items were stored.
        """
        self._check_index(info.submitted)
        if info.state is State.CANCELLED:
            raise BatchCancelled(f"batch {self._name!r} was cancelled ({info.reason}) before all its items were stored")

    def _check_index(self, index: int) -> None:
        if self._index < index:
            place = f"item {self._index} of batch {self._name!r}"
            raise InputError(f"the value of {place} was removed from the server (consumed)")


def typed_results(batch: str, read: Read | None, results: Iterable[Result]) -> Iterable[Result]:
    """Results of `batch` with the values that the task returned.

    Raises:
        InputError: a value does not fit the return annotation.
    """
    return results if read is None else (_typed(batch, read, result) for result in results)


def _typed(batch: str, read: Read | None, result: Result) -> Result:
    if read is None or result.state != "succeeded":
        return result
    try:
        return result.with_value(read(result.value))
    except ValueError as error:
        place = f"item {result.index} of batch {batch!r}"
        raise InputError(f"invalid value of {place}: {excerpt(result.value)} ({error})") from error


def _failure(batch: str, result: Result) -> str:
    place = f"item {result.index} of batch {batch!r} ({excerpt(result.input)})"
    if result.error is None:
        return f"{place} was cancelled"
    verb = "is dead" if result.state == "dead" else "failed"
    return f"{place} {verb}: {result.error['type']}: {result.error['message']}"


def reached(values: Iterable[T]) -> Iterator[T]:
    """The values, read from the server one by one; its errors become ServerErrors."""
    with reaching():
        yield from values
