"""The JSON of stored items and values."""

import json
import math
from collections.abc import Callable
from typing import Any

from pydantic_core import to_json

#: Digits of the longest integer that Python reads in JSON.
DIGITS_MOST = 4300

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
#: Types that need no encoder: making one takes ten times as long.
_PLAIN: dict[type, Callable[[Any], str]] = {
    int: repr,
    float: lambda value: repr(value) if math.isfinite(value) else _encode(value),
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
#: Types of which each value is a JSON value without parts.
SCALARS = frozenset({int, float, bool, str, type(None)})
_KEYS = frozenset({str})


def json_text(value: Any) -> str:
    """The JSON text of a value, on one line, in characters of its own script.

    Raises:
        TypeError, ValueError, RecursionError: JSON has no such value.
    """
    return _PLAIN.get(type(value), _encode)(value)


def is_plain(value: Any) -> bool:
    """Whether a value is made of numbers, text, true, false, null, lists, tuples, and dicts with keys of type `str`.

    Raises:
        RecursionError: the value contains itself, or is nested too deeply.
    """
    kind = type(value)
    if kind is dict:
        if not _KEYS.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind in SCALARS
    # One pass in C for the usual case that no part has parts of its own.
    return SCALARS.issuperset(map(type, value)) or all(type(part) in SCALARS or is_plain(part) for part in value)


def plain_text(value: Any) -> str:
    """The JSON text of a value for which `is_plain` is true; faster than `json_text`, and without its blanks.

    Raises:
        ValueError, RecursionError: JSON has no such value: NaN, half a surrogate pair, an integer that is too long.
    """
    if type(value) in SCALARS:
        return json_text(value)
    try:
        text = to_json(value, inf_nan_mode="constants").decode()
    except ValueError:
        # Nested more deeply than pydantic writes; or the error of Python's encoder is the clearer one.
        return _encode(value)
    return _encode(value) if is_doubtful(text) else text


def is_doubtful(text: str) -> bool:
    """Whether pydantic may have written what no reader of JSON takes: NaN, Infinity or an integer that is too long."""
    return "NaN" in text or "Infinity" in text or (len(text) > DIGITS_MOST and _has_long_integer(text))


def _has_long_integer(text: str) -> bool:
    # A run of so many digits covers one of these places.
    for place in range(DIGITS_MOST, len(text), DIGITS_MOST):
        if text[place].isdigit():
            before, after = text[place - DIGITS_MOST : place], text[place : place + DIGITS_MOST + 1]
            digits = len(before) - len(before.rstrip("0123456789")) + len(after) - len(after.lstrip("0123456789"))
            if digits > DIGITS_MOST:
                return True
    return False
