"""Values of another batch's task as items."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from gristmill.batches.chunk import Work
from gristmill.batches.value_file import NoSuchFolder, UnreadableValue, ValueFile
from gristmill.config.names import PROGRAM
from gristmill.config.settings import settings
from gristmill.errors import SettingError, invalid_value
from gristmill.tasks.encoding import SCALARS
from gristmill.tasks.program.template import text_of
from gristmill.tasks.schema import ItemError, Parameter, Schema

#: Types of values that go to a parameter's check as they are: a number takes no true or false.
_QUICK = SCALARS - {bool}


def arguments_of(work: Work, schema: Schema) -> Callable[[Any], dict[str, Any]]:
    """What makes the arguments of an item from its value."""
    fixed, parameter = work.fixed, work.parameter
    if work.from_batch:
        return lambda value: schema.arguments(value_of(value, work, schema), fixed, parameter)
    if work.task == PROGRAM:
        with suppress(ItemError, KeyError):
            # Frozen, so that all items may have the same one; and any text is an input: a call of the schema for each
            # would be a good part of what a slot does for a quick program.
            shared = {"command": schema.parameters["command"].check(fixed["command"])}
            return lambda value: (
                {parameter: value, **shared}
                if type(value) is str and parameter
                else schema.arguments(value, {**fixed, **shared}, parameter)
            )
    if parameter and not fixed and schema.only == parameter and schema.check is None:
        return _of_bare(schema, schema.parameters[parameter])
    return lambda value: schema.arguments(value, fixed, parameter)


def _of_bare(schema: Schema, only: Parameter) -> Callable[[Any], dict[str, Any]]:
    """As `Schema.arguments`, where one parameter's check is all: a number or text takes half the time."""
    name, check = only.name, only.adapter.validator.validate_python

    def arguments(value: Any) -> dict[str, Any]:
        if type(value) in _QUICK:
            try:
                return {name: check(value)}
            except ValidationError:
                # The other way says what is wrong with it.
                pass
        return schema.arguments(value, {}, name)

    return arguments if only.plain else lambda value: schema.arguments(value, {}, name)


def value_of(value: Any, work: Work, schema: Schema) -> Any:
    """What another batch's task returned, as an item of this one is stored.

    Raises:
        ItemError: the value is in a file that cannot be read, or cannot be an item.
    """
    if isinstance(value, ValueFile):
        value = _read(value)
    if work.task == PROGRAM:
        return {work.parameter: _input(value)}
    if not isinstance(value, dict):
        if work.parameter:
            return value
        names = ", ".join(schema.parameters) or "none"
        raise ItemError(invalid_value("item", value, f"an object of arguments (the task's parameters: {names})"))
    return value if schema.is_arguments(value, work.parameter) else {work.parameter: value}


def _input(value: Any) -> Any:
    """A value as the input of a program: text, a list of texts, or columns by name."""
    if isinstance(value, dict):
        return {name: text_of(column) for name, column in value.items()}
    return [text_of(part) for part in value] if isinstance(value, list) else text_of(value)


def _read(file: ValueFile) -> Any:
    try:
        return file.value(settings(), "the item")
    except SettingError as error:
        raise ItemError(str(error)) from None
    except (NoSuchFolder, UnreadableValue) as error:
        raise ItemError(f"the item is in a file that cannot be read: {error}") from None
