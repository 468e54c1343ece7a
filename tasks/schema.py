"""A task's annotations as the schema of its items."""

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Self, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from gristmill.config.expectation import describe
from gristmill.config.surrogates import escape_surrogates
from gristmill.errors import InputError, excerpt, invalid_value
from gristmill.tasks.encoding import is_plain, json_text
from gristmill.tasks.schema_traits import SchemaTraits, adapter_of
from gristmill.tasks.takes_object import takes_object
from gristmill.tasks.untyped_value import refuse_repeated_keys, to_plain

#: Types whose values are JSON values as they are.
_PLAIN = frozenset({"int", "str", "bool", "float", "none"})
_NOTHING_OPEN = "every parameter has a default or is set"
_PRECISE = frozenset({"an integer", "a number", "true or false"})


class ItemError(InputError):
    """Raised when an item, or a value for `set`, does not fit the parameters of its task."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task: its name, whether an item must give it, and the values that it takes.

    `plain` says that JSON has each value as it is, `takes_object` that a value may be an object, and `traits` what else
    the type means for JSON.
    """

    name: str
    required: bool
    default: Any
    adapter: TypeAdapter[Any]
    plain: bool
    takes_object: bool
    traits: SchemaTraits

    @classmethod
    def of(cls, parameter: inspect.Parameter, annotation: Any) -> Self:
        """The parameter of a function, with the values that its annotation allows.

        Raises:
            TypeError: an item could not give it by name.
        """
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{parameter}: a task takes named parameters only")
        required = parameter.default is parameter.empty
        adapter = adapter_of(annotation)
        plain = adapter.core_schema["type"] in _PLAIN and "serialization" not in adapter.core_schema
        schema, default = adapter.core_schema, None if required else parameter.default
        return cls(parameter.name, required, default, adapter, plain, takes_object(schema), SchemaTraits.of(schema))

    @classmethod
    def of_any(cls, name: str, required: bool, takes_object: bool) -> Self:
        """A parameter of which the type is not known: its check accepts any value that JSON can carry."""
        adapter = TypeAdapter(Any)
        return cls(name, required, None, adapter, False, takes_object, SchemaTraits.of(adapter.core_schema))

    @property
    def is_number(self) -> bool:
        """Whether each value is a number, or null."""
        schema: Any = self.adapter.core_schema
        while schema["type"] == "nullable":
            schema = schema["schema"]
        return schema["type"] in ("int", "float")

    @property
    def allowed(self) -> str:
        """The values that it takes, in words: `an integer from 0 to 50`."""
        try:
            return describe(self.adapter.json_schema())
        except PydanticUserError:
            return "a value of its type"

    def check(self, value: Any) -> Any:
        """The value as the function takes it: text of a line or an option is converted.

        Raises:
            ItemError: the value is not valid.
        """
        if isinstance(value, bool) and self.is_number:
            # To Python, true is 1.
            raise ItemError(invalid_value(self.name, value, self.allowed))
        try:
            return self.adapter.validator.validate_python(value)
        except ValidationError as error:
            if not (isinstance(value, str) and value[:1] in ("[", "{")):
                raise self._error(value, error) from None
        except Exception as error:
            # Of a validator of the user's own, or of a value that breaks the rules of its type, as NaT of pandas does.
            raise self._error(value, error) from error
        try:
            return self.adapter.validate_json(value)
        except Exception as error:
            raise self._error(value, error) from None

    def _error(self, value: Any, error: Exception) -> ItemError:
        if not isinstance(error, ValidationError):
            reason = f"; {type(error).__name__}: {error}"
        elif self.allowed in _PRECISE or " " in self.allowed[3:]:
            # Words that say a range or a choice need no further reason.
            reason = ""
        else:
            reason = f"; {error.errors(include_url=False)[0]['msg']}"
        return ItemError(invalid_value(self.name, value, self.allowed + reason))

    def plain_value(self, value: Any) -> Any:
        """A checked value as JSON has it.

        Raises:
            ItemError: JSON has no such value.
        """
        if self.plain:
            return value
        try:
            if self.traits.keys_may_repeat and not is_plain(value):
                self._check_keys(value)
            return self.adapter.dump_python(value, mode="json")
        except Exception as error:
            raise _not_json(value, error, self.name) from None

    def _check_keys(self, value: Any) -> None:
        """Check that JSON keeps the keys of each dict apart, and that a worker can read them."""
        if self.traits.has_any:
            to_plain(value)
        try:
            text = self.adapter.dump_json(value)
        except ValueError as error:
            if self.traits.has_any and "surrogates not allowed" in str(error):
                return
            raise
        refuse_repeated_keys(text)
        self.adapter.validate_json(text)


class Schema:
    """The parameters of one task, and with them the form of its items.

    An item is an object of arguments, or the bare value of the one parameter that has no default and is not fixed for
    the whole batch. An object means arguments, unless that parameter takes an object, and no key is a parameter's
    name: such an object is the value. In the ledger, an object is always one of arguments.
    """

    def __init__(self, parameters: Iterable[Parameter], check: Callable[..., None] | None = None) -> None:
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self.check = check
        #: The parameter that a bare item fills: no other lacks a value.
        self.only = self.open_parameter({})
        self._defaults = {p.name: p.default for p in self.parameters.values() if not p.required}

    @classmethod
    def of(cls, function: Callable[..., Any], check: Callable[..., None] | None = None) -> Self:
        """The schema that a function's annotations make.

        Raises:
            TypeError: the function takes `*args`, `**kwargs` or positional-only parameters.
        """
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
        return cls((Parameter.of(parameter, hints.get(parameter.name, Any)) for parameter in parameters), check)

    def fixed(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Check the arguments that all items share (`set`), and return them as JSON values.

        Raises:
            ItemError: the task has no parameter of a name, or a value is not valid.
        """
        self._check_names(arguments)
        values = {name: self._plain(name, self.parameters[name].check(value)) for name, value in arguments.items()}
        to_json(values)
        return values

    def open_parameter(self, fixed: Mapping[str, Any]) -> str:
        """The parameter that a bare item fills; empty when items must be objects."""
        names = self.open_parameters(fixed)
        return names[0] if len(names) == 1 else ""

    def open_parameters(self, fixed: Mapping[str, Any]) -> list[str]:
        """The parameters that each item must give: those without a default that are not fixed."""
        return [p.name for p in self.parameters.values() if p.required and p.name not in fixed]

    def item(self, value: Any, fixed: Mapping[str, Any], parameter: str, *, columns: bool = False) -> str:
        """The JSON text to store for one item as it was read.

        `columns` says that the value is a row of a table, which has arguments as text; else it is the value of
        `parameter`, or an object of arguments.

        Raises:
            ItemError: the item does not fit.
        """
        if self.only and self.only == parameter and not (columns or fixed or isinstance(value, dict)):
            checked = {parameter: self.parameters[parameter].check(value)}
            self._check_together({**self._defaults, **checked})
            only = self._plain(parameter, checked[parameter])
            return to_json({parameter: only} if isinstance(only, dict) else only)
        if columns or (isinstance(value, dict) and self.is_arguments(value, parameter)):
            arguments, bare = value, False
        elif parameter:
            arguments, bare = {parameter: value}, True
        else:
            arguments, bare = self._object(value, fixed), False
        self._check_names(arguments)
        values = {name: self.parameters[name].check(argument) for name, argument in arguments.items()}
        self._check_all(values, fixed)
        stored = {name: self._plain(name, argument) for name, argument in values.items()}
        return to_json(stored[parameter] if bare and not isinstance(stored[parameter], dict) else stored)

    def arguments(self, item: Any, fixed: Mapping[str, Any], parameter: str) -> dict[str, Any]:
        """The arguments to call the function with, for an item as stored.

        Raises:
            ItemError: the item does not fit: the producer has another version of the task, or does not have it.
        """
        if self.only and self.only == parameter and not (fixed or isinstance(item, dict)):
            values = {parameter: self.parameters[parameter].check(item)}
            if self.check is not None:
                self._check_together({**self._defaults, **values})
            return values
        arguments = {**fixed, **(item if isinstance(item, dict) else {parameter: item})}
        if not arguments.keys() <= self.parameters.keys():
            self._check_names(arguments)
        values = {name: self.parameters[name].check(argument) for name, argument in arguments.items()}
        self._check_all(values, {})
        return values

    def _object(self, value: Any, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """The object of arguments in an item that no one parameter takes: text, where no argument is needed."""
        if not self.open_parameters(fixed):
            with suppress(ValueError, RecursionError):
                arguments = json.loads(value) if isinstance(value, str) else None
                if isinstance(arguments, dict):
                    return arguments
            raise ItemError(invalid_value("item", value, f"{{}}, or an object of arguments: {_NOTHING_OPEN}"))
        raise ItemError(invalid_value("item", value, f"{self._expected(fixed)}, as csv or jsonl"))

    def is_arguments(self, value: Mapping[str, Any], parameter: str) -> bool:
        """Whether an object is one of arguments, and not the value of `parameter`, which a bare item fills."""
        return not (parameter and self.parameters[parameter].takes_object and self.parameters.keys().isdisjoint(value))

    def _check_names(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.parameters:
                near = get_close_matches(str(name), self.parameters, 1, 0.5)
                hint = f"did you mean {near[0]!r}? " if near else ""
                takes = ", ".join(self.parameters) or "none"
                raise ItemError(f"unknown parameter: {excerpt(name)} ({hint}the task's parameters: {takes})")

    def _check_all(self, values: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
        arguments = {**self._defaults, **fixed, **values}
        if not self.parameters.keys() <= arguments.keys():
            missing = [name for name in self.parameters if name not in arguments]
            raise ItemError(f"missing value for {', '.join(missing)} (an item gives {self._expected(fixed)})")
        self._check_together(arguments)

    def _check_together(self, arguments: Mapping[str, Any]) -> None:
        """Run the task's own check of all arguments, if it has one."""
        if self.check is None:
            return
        try:
            self.check(**arguments)
        except ValueError as error:
            raise ItemError(str(error)) from None
        except Exception as error:
            raise ItemError(f"the task's check raised {type(error).__name__}: {error}") from error

    def _expected(self, fixed: Mapping[str, Any]) -> str:
        return ", ".join(self.open_parameters(fixed)) or f"nothing: {_NOTHING_OPEN}"

    def _plain(self, name: str, value: Any) -> Any:
        parameter = self.parameters[name]
        return value if parameter.plain else parameter.plain_value(value)


def to_json(value: Any) -> str:
    """The JSON text of a value, on one line.

    Raises:
        ItemError: JSON has no such value (NaN, half a surrogate pair, an object of a class).
    """
    try:
        return escape_surrogates(json_text(value))
    except Exception as error:
        raise _not_json(value, error) from None


def _not_json(value: Any, error: Exception, name: str = "item") -> ItemError:
    reason = f"{type(error).__name__}: {error}".replace("\n", " ")
    return ItemError(invalid_value(name, value, f"a value that JSON can carry; {reason}"))
