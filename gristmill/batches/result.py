"""A result: how one item of a batch ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from json import JSONEncoder
from json.encoder import encode_basestring
from typing import Any, Generic

from typing_extensions import TypeVar

from gristmill.batches.outcomes import StoredGroup, StoredOutcome, unreadable_error
from gristmill.batches.value_file import ValueFile
from gristmill.config.surrogates import escape_surrogates

#: What the item's task returns.
R_co = TypeVar("R_co", covariant=True, default=Any)


@dataclass(frozen=True, slots=True)
class Result(Generic[R_co]):
    """One item's outcome. `index` counts from 0, `input` is the item, `state` is `succeeded`, `failed`, `dead`
    or `cancelled`. `value` is what the task returned, None unless the item succeeded: as the task's return annotation
    names it after `submit(task)`, else as JSON has it. `error` has `type`, `message` and `traceback`, and that of a
    program `outcome` too. `seconds` is the run time of the last attempt. A cancelled item has no worker and no pid.
    `log` is the end of what the item wrote; None when the server keeps none.
    """

    index: int
    input: Any
    state: str
    value: R_co
    error: dict[str, Any] | None
    attempts: int
    seconds: float
    worker: str | None
    pid: int | None
    log: str | None = None
    #: The value as JSON has it, where `value` is another.
    _plain: Any = field(default=None, repr=False, compare=False)
    #: Where the value is, or was read from, if it is too large for the server.
    _file: ValueFile | None = field(default=None, repr=False, compare=False)

    @classmethod
    def from_outcome(cls, index: int, item: Any, outcome: StoredOutcome, log: str | None = None) -> "Result[Any]":
        """Build the result from an item, from its outcome and from its log."""
        state, answer, attempts, seconds, worker, pid = outcome
        value: Any
        if isinstance(answer, ValueFile):
            unread: Any = None
            return cls(index, item, state, unread, None, attempts, seconds, worker, pid, log, None, answer)
        value, error = (answer, None) if state == "succeeded" else (None, answer)
        return cls(index, item, state, value, error, attempts, seconds, worker, pid, log)

    @classmethod
    def of_group(cls, first: int, items: Sequence[Any], group: StoredGroup) -> "list[Result[Any]]":
        """Build the results of neighbours, the first of which has the index `first`."""
        state, attempts, worker, pid, seconds, answers = group
        none: list[Any] = [None] * len(answers)
        values, errors = (answers, none) if state == "succeeded" else (none, answers)
        results = [
            _Draft(index, item, state, value, error, attempts, took, worker, pid, None, None, None)
            for index, (item, value, error, took) in enumerate(zip(items, values, errors, seconds, strict=True), first)
        ]
        for result in results:
            result.__class__ = cls
        return results

    @classmethod
    def of_cancelled(cls, index: int, item: Any, attempts: int) -> "Result[Any]":
        """Build the result of an item that was cancelled after `attempts` attempts."""
        value: Any = None
        return cls(index, item, "cancelled", value, None, attempts, 0.0, None, None)

    def with_value(self, value: Any) -> "Result[Any]":
        """The same result with another `value`; its JSON stays as it is."""
        return replace(self, value=value, _plain=self.value)

    @property
    def file(self) -> ValueFile | None:
        """The reference to the file that the value is in; None where the server has the value."""
        return self._file

    def unreadable(self, message: str) -> "Result[Any]":
        """The same result, but as a failure that says why its value cannot be read."""
        return replace(self, state="failed", error=unreadable_error(message), _file=None)

    def to_json(self) -> str:
        """The result as one line of JSON, with the fields in their documented order."""
        value = self.value if self._plain is None else self._plain
        return escape_surrogates(
            f'{{"index":{self.index},"input":{_text(self.input)},"state":"{self.state}","value":{_text(value)},'
            f'"error":{_text(self.error)},"attempts":{self.attempts},"seconds":{_text(self.seconds)},'
            f'"worker":{_text(self.worker)},"pid":{_text(self.pid)},"log":{_text(self.log)}}}'
        )


def _text(value: Any) -> str:
    """A value as JSON; an encoder of its own for each number and each text would cost most of the time."""
    if value is None:
        return "null"
    kind = type(value)
    if kind is int or (kind is float and value - value == 0):
        return repr(value)
    return encode_basestring(value) if kind is str else _encode(value)


#: A result that is not frozen yet. Python makes one in a fifth of the time that it takes to fill a frozen one.
_Draft: Any = make_dataclass("_Draft", [one.name for one in fields(Result)], bases=(Generic[R_co],), slots=True)  # type: ignore[index]
#: The names of a result's fields, in their documented order.
FIELDS = tuple(one.name for one in fields(Result) if not one.name.startswith("_"))
_encode = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
