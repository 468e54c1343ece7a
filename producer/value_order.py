"""The values of a batch, one after another, without a gap."""

from typing import Any

from gristmill.batches.info import BatchInfo, State
from gristmill.batches.result import Result
from gristmill.errors import BatchCancelled, InputError, ItemFailed, excerpt
from gristmill.tasks.encoding import json_text
from gristmill.tasks.return_type import ReturnType


class ValueOrder:
    """Takes the results of the batch `name` by index, and gives their values, as `return_type` reads them."""

    def __init__(self, name: str, return_type: ReturnType) -> None:
        self._name, self._return_type = name, return_type
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
        if self._return_type.is_json:
            return result.value
        try:
            return self._return_type.value(json_text(result.value))
        except ValueError as error:
            text = f"invalid value of item {result.index} of batch {self._name!r}: {excerpt(result.value)}"
            raise InputError(f"{text} (expected {self._return_type.annotation}, as the task says)") from error

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


def _failure(batch: str, result: Result) -> str:
    place = f"item {result.index} of batch {batch!r} ({excerpt(result.input)})"
    if result.error is None:
        return f"{place} was cancelled"
    verb = "is dead" if result.state == "dead" else "failed"
    return f"{place} {verb}: {result.error['type']}: {result.error['message']}"
