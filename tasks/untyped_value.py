"""Values of which no annotation tells the type, as JSON values: by the type that each part has."""

import json
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from pydantic_core import to_jsonable_python

from gristmill.errors import excerpt
from gristmill.tasks.encoding import SCALARS, json_text
from gristmill.tasks.numpy_values import is_numpy, to_python

#: Values that come one by one, or later.
_NOT_YET = (Iterator, AsyncIterator, Awaitable)


class RepeatedKey(ValueError):
    """Raised when two keys of a dict are the same key in JSON."""

    def __init__(self, key: str) -> None:
        super().__init__(f"two keys of one dict are the JSON key {excerpt(key)}")


def to_plain(value: Any) -> Any:
    """A value as numbers, text, true, false, null, lists, and dicts with keys of type `str`.

    Raises:
        TypeError, ValueError, RecursionError: JSON has no such value.
        RepeatedKey: two keys of a dict are the same in JSON.
    """
    if type(value) in SCALARS:
        return value
    if isinstance(value, Enum):
        return to_plain(value.value)
    if is_numpy(value):
        return to_plain(to_python(value))
    if isinstance(value, int | float | str):
        return _base(value)
    if isinstance(value, Mapping):
        return _object(value)
    if isinstance(value, list | tuple | deque | Set):
        return [to_plain(part) for part in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return urlsafe_b64encode(value).decode()
    return _other(value)


def _base(value: Any) -> Any:
    """The number or text of which the value's class is a subclass."""
    return next(base(value) for base in (int, float, str) if isinstance(value, base))


def _object(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, part in value.items():
        text = key if type(key) is str else _key(key)
        if text in plain:
            raise RepeatedKey(text)
        plain[text] = to_plain(part)
    return plain


def _key(key: Any) -> str:
    plain = to_plain(key)
    if isinstance(plain, list | dict):
        raise TypeError(f"a dict's key is of type {type(key).__name__} (expected text, or what JSON has as text)")
    return plain if isinstance(plain, str) else json_text(plain)


def _other(value: Any) -> Any:
    if isinstance(value, _NOT_YET):
        raise TypeError(
            f"it is of type {type(value).__name__}, which has its values only later (expected the values: "
            "list(…) of an iterator, the awaited result of a coroutine)"
        )
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is not None:
        refuse_repeated_keys(serializer.to_json(value, fallback=to_plain))
        return serializer.to_python(value, mode="json", fallback=to_plain)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    return to_jsonable_python(value)


def refuse_repeated_keys(text: bytes) -> None:
    """Check the objects of a JSON text that pydantic has written.

    Raises:
        RepeatedKey: two members of an object have the same key.
    """

    def check(pairs: list[tuple[str, Any]]) -> None:
        names = set()
        for name, _ in pairs:
            if name in names:
                raise RepeatedKey(name)
            names.add(name)

    json.loads(text, object_pairs_hook=check)
