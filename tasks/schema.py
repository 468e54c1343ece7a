"""A task's annotations as the schema of its items."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from gristmill.errors import InputError
from gristmill.tasks.encoding import json_text

_SHOWN = 80
_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
#: Types whose values are JSON values as they are.
_PLAIN = frozenset({"int", "str", "bool", "float", "none"})
_PRECISE = frozenset({"an integer", "a number", "true or false"})


class ItemError(InputError):
    """Raised when an item, or a value for `--set`, does not fit its task."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a task: its name, whether an item must give it, and what it takes."""

    name: str
    required: bool
    default: Any
    adapter: TypeAdapter[Any]
    plain: bool

    @classmethod
    def of(cls, parameter: inspect.Parameter, annotation: Any) -> Self:
        """The parameter of a function, with the values that its annotation allows.

        Raises:
            TypeError: an item could not give it by name.
        """
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{parameter}: a task takes named parameters only")
        required = parameter.default is parameter.empty
        adapter = _adapter(annotation)
        plain = adapter.core_schema["type"] in _PLAIN and "serialization" not in adapter.core_schema
        return cls(parameter.name, required, None if required else parameter.default, adapter, plain)

    @property
    def allowed(self) -> str:
        """What it takes, in words: `an integer from 0 to 50`."""
        return describe(self.adapter.json_schema())

    def check(self, value: Any) -> Any:
        """The value as the function wants it; text from a line or an option is converted.

        Raises:
            ItemError: it is not allowed; the text names the value and what is allowed.
        """
        try:
            return self.adapter.validator.validate_python(value)
        except ValidationError as error:
            if isinstance(value, str) and value[:1] in ("[", "{"):
                return self._from_json(value)
            raise self._refused(value, error) from None

    def _from_json(self, text: str) -> Any:
        try:
            return self.adapter.validate_json(text)
        except ValidationError as error:
            raise self._refused(text, error) from None

    def _refused(self, value: Any, error: ValidationError) -> ItemError:
        # Words that say a range or a choice need no further reason.
        reason = "" if self.allowed in _PRECISE or " " in self.allowed[3:] else f" ({error.errors()[0]['msg']})"
        return ItemError(f"{self.name}: {shown(value)} is not allowed: {self.allowed} is{reason}")


class Schema:
    """What the items of one task may be.

    An item is an object of arguments, or the bare value of the one parameter that has no default and is not
    fixed for the whole batch. As stored, an object is always one of arguments.
    """

    def __init__(self, parameters: Iterable[Parameter], check: Callable[..., None] | None = None) -> None:
        self.parameters = {parameter.name: parameter for parameter in parameters}
        self._check = check
        #: The parameter that an item gives by itself, when nothing else has to be looked at.
        self._only = "" if check else self.open_parameter({})
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

    def fixed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check the arguments that all items share (`--set`) and return them as JSON values.

        Raises:
            ItemError: a name is unknown or a value is not allowed.
        """
        self._known(given)
        plain = {name: self._plain(name, self.parameters[name].check(value)) for name, value in given.items()}
        to_json(plain)
        return plain

    def open_parameter(self, fixed: Mapping[str, Any]) -> str:
        """The parameter that a bare item is for; empty when items must be objects."""
        wanted = [p.name for p in self.parameters.values() if p.required and p.name not in fixed]
        return wanted[0] if len(wanted) == 1 else ""

    def item(self, value: Any, fixed: Mapping[str, Any], parameter: str, *, columns: bool = False) -> str:
        """The JSON text to store for one item as it was read.

        `columns` says that the value is an object of arguments (a CSV row, an object of a task's argument
        names), else it is the value of `parameter`.

        Raises:
            ItemError: it does not fit; the text names the parameter, the value and what is allowed.
        """
        if self._only and self._only == parameter and not (columns or fixed or isinstance(value, dict)):
            alone = self._plain(parameter, self.parameters[parameter].check(value))
            return to_json({parameter: alone} if isinstance(alone, dict) else alone)
        if columns or (isinstance(value, dict) and self._is_arguments(value)):
            arguments, bare = value, False
        elif parameter:
            arguments, bare = {parameter: value}, True
        else:
            raise ItemError(f"{shown(value)} is not allowed: an item gives {self._wanted(fixed)}, as csv or jsonl")
        self._known(arguments)
        checked = {name: self.parameters[name].check(given) for name, given in arguments.items()}
        self._complete(checked, fixed)
        stored = {name: self._plain(name, given) for name, given in checked.items()}
        return to_json(stored[parameter] if bare and not isinstance(stored[parameter], dict) else stored)

    def arguments(self, item: Any, fixed: Mapping[str, Any], parameter: str) -> dict[str, Any]:
        """The arguments to call the function with, for an item as stored.

        Raises:
            ItemError: it does not fit (the task differs between producer and worker).
        """
        if self._only and self._only == parameter and not (fixed or isinstance(item, dict)):
            return {parameter: self.parameters[parameter].check(item)}
        given = {**fixed, **(item if isinstance(item, dict) else {parameter: item})}
        self._known(given)
        checked = {name: self.parameters[name].check(value) for name, value in given.items()}
        self._complete(checked, {})
        return checked

    def _is_arguments(self, value: Mapping[str, Any]) -> bool:
        return bool(value) and value.keys() <= self.parameters.keys()

    def _known(self, names: Mapping[str, Any]) -> None:
        for name in names:
            if name not in self.parameters:
                raise ItemError(f"{name!r} is not a parameter; the task takes {', '.join(self.parameters)}")

    def _complete(self, checked: Mapping[str, Any], fixed: Mapping[str, Any]) -> None:
        given = {**self._defaults, **fixed, **checked}
        missing = [name for name in self.parameters if name not in given]
        if missing:
            raise ItemError(f"{', '.join(missing)}: missing; an item gives {self._wanted(fixed)}")
        if self._check is not None:
            try:
                self._check(**given)
            except ValueError as error:
                raise ItemError(str(error)) from None

    def _wanted(self, fixed: Mapping[str, Any]) -> str:
        names = [p.name for p in self.parameters.values() if p.required and p.name not in fixed]
        return ", ".join(names) or "no parameter: all have a default or are set"

    def _plain(self, name: str, value: Any) -> Any:
        parameter = self.parameters[name]
        return value if parameter.plain else parameter.adapter.dump_python(value, mode="json")


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        # Else NaN would be stored as null, unasked.
        return TypeAdapter(annotation, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError:
        # A model brings a configuration of its own.
        return TypeAdapter(annotation)


def to_json(value: Any) -> str:
    """The JSON text of a value, on one line.

    Raises:
        ItemError: JSON cannot carry it (NaN, half a surrogate pair, a type of its own).
    """
    try:
        text = json_text(value)
        if not text.isascii():
            text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise ItemError(f"{shown(value)} is not allowed: JSON cannot carry it ({error})") from None
    return text


def shown(value: Any) -> str:
    """A value as an error names it, cut to a line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text):,} characters)"


def describe(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words: `an integer from 0 to 50`, `one of 'naive', 'doubling'`."""
    if "enum" in schema:
        return "one of " + ", ".join(repr(choice) for choice in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if "anyOf" in schema:
        return " or ".join(describe(choice) for choice in schema["anyOf"])
    words = _TYPES.get(schema.get("type", ""), "a value of its type")
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f"{words} from {least} to {most}"
    limits = [("at least", least), ("above", above), ("at most", most), ("below", below)]
    found = [f"{word} {limit}" for word, limit in limits if limit is not None]
    return " ".join([words, " and ".join(found)]).strip()
