"""The type that a task returns, by its annotation: how its values are stored, and read back."""

import inspect
from collections.abc import Callable
from typing import Any, Never, NoReturn, Self

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from typing_extensions import TypeAliasType

from gristmill.config.surrogates import escape_surrogates
from gristmill.errors import excerpt
from gristmill.tasks.encoding import SCALARS, is_doubtful, is_plain, json_text, plain_text
from gristmill.tasks.numpy_values import with_numpy
from gristmill.tasks.schema_traits import SchemaTraits
from gristmill.tasks.untyped_value import refuse_repeated_keys, to_plain

#: The annotations that say nothing of a value.
_ANYTHING = (Any, object, NoReturn, Never, inspect.Signature.empty)
_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
#: Scalars of core schemas -> the types whose values they take as they are.
_SCALARS: dict[str, set[type]] = {
    "int": {int},
    "str": {str},
    "bool": {bool},
    "none": {type(None)},
    "float": {float, int},
}


class ResultNotJSON(TypeError):
    """Raised when a task returns a value that JSON cannot carry."""


class ResultMismatch(TypeError):
    """Raised when a task returns a value that its return annotation does not allow."""


class ReturnType:
    """What a task returns. Without an annotation a value is stored by its type, and read as JSON."""

    def __init__(self, annotation: Any = Any) -> None:
        """Build it from an annotation.

        Raises:
            Exception: pydantic cannot write or read the annotation.
            TypeError: a value of the annotation comes one by one.
        """
        self.annotation = annotation
        self._adapter: TypeAdapter[Any] | None = None
        self._as_is = SCALARS
        self._traits = SchemaTraits(is_json=True, has_any=True, keys_may_repeat=True, has_generator=False)
        if any(annotation is anything for anything in _ANYTHING):
            return
        # The alias has pydantic take the configuration for dataclasses and typed dicts too.
        alias: Any = TypeAliasType("Value", with_numpy(annotation))
        self._adapter = TypeAdapter(alias, config=_CONFIG)
        schema: Any = self._adapter.core_schema
        self._traits = SchemaTraits.of(schema)
        if self._traits.has_generator:
            raise TypeError("its values come one by one: an item has one value")
        self._as_is = frozenset(_as_is(schema) if self._traits.is_json else ())

    @classmethod
    def of(cls, function: Callable[..., Any], annotation: Any) -> Self:
        """The type that `function` returns, by its evaluated annotation.

        Raises:
            TypeError: the function is a generator, or pydantic cannot write and read its return annotation.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                "invalid function: it yields, and an item has one value (expected a function that returns its "
                "value, such as a list)"
            )
        try:
            return cls(annotation)
        except Exception as error:
            reason = str(error).partition("\n")[0]
            name = getattr(annotation, "__name__", "") if isinstance(annotation, type) else ""
            raise TypeError(
                f"invalid return annotation: {name or annotation} (expected a type of JSON, one that pydantic writes "
                f"and reads, or no annotation; {reason})"
            ) from None

    def text(self, value: Any) -> str:
        """A value as the JSON text to store.

        Raises:
            ResultMismatch: the annotation does not allow the value; the text names the field.
            ResultNotJSON: JSON cannot carry the value.
        """
        if value is None and type(None) in self._as_is:
            return "null"
        try:
            if type(value) in self._as_is:
                text = json_text(value)
                if text.isascii():
                    return text
            elif self._adapter is None:
                text = plain_text(value) if is_plain(value) else plain_text(to_plain(value))
            elif self._traits.is_json:
                text = self._json_text(self._adapter, value)
            else:
                return self._typed_text(self._adapter, value)
            text = escape_surrogates(text)
        except ResultMismatch:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise ResultNotJSON(f"JSON cannot carry the value, of type {type(value).__name__}: {error}") from None
        return text

    def value(self, text: str) -> Any:
        """The value of a JSON text as a task returned it.

        Raises:
            ValueError: it does not fit the annotation.
        """
        assert self._adapter is not None  # noqa: S101 (see `is_json`)
        return self._adapter.validator.validate_json(text, by_alias=False, by_name=True)

    @property
    def is_json(self) -> bool:
        """Whether a value is the one that JSON has: there is nothing to convert."""
        return self._traits.is_json

    @property
    def reader(self) -> Callable[[Any], Any] | None:
        """`read`, or None where there is nothing to convert."""
        return None if self.is_json else self.read

    def read(self, value: Any) -> Any:
        """The value that a task returned, of the one that JSON has.

        Raises:
            ValueError: it does not fit the annotation; the text says what was expected.
        """
        if self.is_json:
            return value
        try:
            return self.value(json_text(value))
        except ValueError as error:
            raise ValueError(f"expected {_name(self.annotation)}, as the task's return annotation says") from error

    def _json_text(self, adapter: TypeAdapter[Any], value: Any) -> str:
        if self._traits.has_any and not is_plain(value):
            value = to_plain(value)
        try:
            text = adapter.serializer.to_json(value, warnings="error").decode()
        except PydanticSerializationError as error:
            if "surrogates not allowed" in str(error):
                # A name of a file, perhaps: `escape_surrogates` tells.
                return json_text(adapter.serializer.to_python(value, mode="json"))
            raise self._mismatch(adapter, value, error) from None
        return json_text(adapter.serializer.to_python(value, mode="json")) if is_doubtful(text) else text

    def _typed_text(self, adapter: TypeAdapter[Any], value: Any) -> str:
        how: dict[str, Any] = {"by_alias": False, "round_trip": True, "warnings": "error", "fallback": to_plain}
        try:
            plain = adapter.serializer.to_python(value, mode="json", **how)
            if self._traits.keys_may_repeat:
                refuse_repeated_keys(adapter.serializer.to_json(value, **how))
        except PydanticSerializationError as error:
            raise self._mismatch(adapter, value, error) from None
        text = plain_text(plain)
        try:
            self.value(text)
        except ValidationError as error:
            raise ResultMismatch(_explain(self.annotation, value, error)) from None
        return text

    def _mismatch(self, adapter: TypeAdapter[Any], value: Any, error: PydanticSerializationError) -> TypeError:
        """Why pydantic did not write a value: with the place in the value, if it tells that."""
        try:
            adapter.validator.validate_python(value, strict=True)
        except ValidationError as invalid:
            return ResultMismatch(_explain(self.annotation, value, invalid))
        except Exception:  # noqa: S110 (a validator of the user's own: the first error tells more)
            pass
        lines = str(error).splitlines()
        return ResultMismatch(f"{_does_not_fit(self.annotation, value)}; {lines[-1].strip()}")


def _as_is(schema: Any) -> set[type]:
    """The types of scalars that a schema of JSON's own types takes as they are."""
    kind = schema["type"]
    if kind == "nullable":
        return {type(None), *_as_is(schema["schema"])}
    if kind == "union":
        choices = [choice[0] if isinstance(choice, tuple) else choice for choice in schema["choices"]]
        return {scalar for choice in choices for scalar in _as_is(choice)}
    return _SCALARS.get(kind, set())


def _explain(annotation: Any, value: Any, error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{_does_not_fit(annotation, value)}; {f'{place}: ' if place else ''}{first['msg']}"


def _does_not_fit(annotation: Any, value: Any) -> str:
    return f"invalid value: {excerpt(value)} (expected {_name(annotation)}, as the task's return annotation says)"


def _name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
