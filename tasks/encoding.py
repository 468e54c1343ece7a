"""The JSON of stored items and values."""

import json
from collections.abc import Callable
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
#: Types that need no encoder: making one takes ten times as long.
_PLAIN: dict[type, Callable[[Any], str]] = {
    int: repr,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}


def json_text(value: Any) -> str:
    """The JSON text of a value, on one line, in characters of its own script.

    Raises:
        TypeError, ValueError, RecursionError: JSON has no such value.
    """
    plain = _PLAIN.get(type(value), _encode)
    return plain(value)
