"""By what limits know an item: a short text that stands for the value of a name, such as the host of a URL."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gristmill.errors import InputError, excerpt, invalid_value

if TYPE_CHECKING:
    from gristmill.tasks.remote import SubmittableTask

#: Characters of each text; VALUE_BYTES in flight_counts.lua is the same number.
VALUE_CHARACTERS = 12


def text_of(value: Any) -> str:
    """The text by which limits know a value, as JSON has it."""
    return _digest(json.dumps(value, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:VALUE_CHARACTERS]


#: The text of the items of which no value can be told.
NO_VALUE = _digest("")


class LimitValues:
    """The values of one name, of items as the ledger stores them.

    The name is that of the function by which the task derives a value, of a parameter, or of a column where an item is
    an object. Two values of which the texts are alike share a limit; that happens once in some billions of pairs.
    """

    def __init__(self, task: "SubmittableTask", name: str, fixed: Mapping[str, Any], parameter: str) -> None:
        """`fixed` are the arguments that all items share; a bare item fills `parameter`.

        Raises:
            InputError: the items of the task have no such name.
        """
        self.name = name
        self._parameters, self._parameter, self._fixed = task.schema.parameters, parameter, fixed
        self._function = _function(task, name)
        self._names = [*inspect.signature(self._function).parameters] if self._function else []
        self._digests: dict[str, str] = {}
        takes_object = bool(parameter) and self._parameters[parameter].takes_object
        if not self._function and name not in self._parameters and not takes_object:
            raise InputError(invalid_value("limit_by", name, _names(task)))

    def of(self, item: Any) -> str:
        """The text of an item, given as its JSON value.

        Raises:
            InputError: the item has no such column, or the task's function raised.
        """
        value = json.dumps(self._value(item), sort_keys=True)
        digest = self._digests.get(value)
        if digest is None:
            if len(self._digests) > 10_000:
                self._digests.clear()
            digest = self._digests[value] = _digest(value)
        return digest

    def _value(self, item: Any) -> Any:
        arguments = {**self._fixed, **(item if isinstance(item, dict) else {self._parameter: item})}
        if self._function:
            return self._derived(self._function, arguments)
        if self.name in self._parameters:
            return self._argument(self.name, arguments)
        columns = arguments.get(self._parameter)
        if not isinstance(columns, dict) or self.name not in columns:
            raise InputError(invalid_value("limit_by", self.name, f"a column of each item, such as {str(item)[:80]}"))
        return columns[self.name]

    def _argument(self, name: str, arguments: Mapping[str, Any]) -> Any:
        if name in arguments:
            return arguments[name]
        default = self._parameters[name].default
        return default if isinstance(default, str | int | float | None) else str(default)

    def _derived(self, function: Callable[..., object], arguments: Mapping[str, Any]) -> str:
        try:
            return str(function(**{name: self._argument(name, arguments) for name in self._names}))
        except Exception as error:
            values = ", ".join(f"{name}={self._argument(name, arguments)!r}" for name in self._names)
            problem = f"{type(error).__name__}: {error}"
            expected = f"a function that gives each item a value; of {excerpt(values)} it raised {problem}"
            raise InputError(invalid_value("limit_by", self.name, expected)) from error


def _function(task: "SubmittableTask", name: str) -> Callable[..., object] | None:
    function = task.limit_function
    return function if function is not None and function.__name__ == name else None


def _names(task: "SubmittableTask") -> str:
    names = [*task.schema.parameters]
    if task.limit_function is not None:
        names.append(task.limit_function.__name__)
    return f"one of {', '.join(names)}"
