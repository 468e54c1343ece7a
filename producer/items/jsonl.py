"""The format `jsonl`: one JSON value per line."""

import json
import math
import sys
from collections.abc import Iterable, Iterator

from gristmill.config.surrogates import escape_surrogates
from gristmill.producer.items.lines import Raw

#: levels of lists and objects within each other that every JSON parser can read
NESTING = 100

_TOO_DEEP = f"nested more than {NESTING} deep"


class _RefusedError(ValueError):
    """Raised when Python's parser would accept what JSON, or the next reader, does not."""


def values(lines: Iterable[Raw]) -> Iterator[Raw]:
    """Yield the JSON value of each line, or its error: no JSON, too deep, or a value that JSON cannot carry back."""
    for raw in lines:
        if raw.error is not None:
            yield raw
            continue
        line = raw.value
        assert isinstance(line, str)  # noqa: S101 (what `lines` yields without an error)
        try:
            value = _DECODER.decode(line)
            _refuse_unwritable(value, line)
        except json.JSONDecodeError as error:
            yield Raw(raw.number, None, f"not one JSON value: {error.msg} at column {error.colno}")
        except _RefusedError as error:
            yield Raw(raw.number, None, str(error))
        except RecursionError:
            yield Raw(raw.number, None, _TOO_DEEP)
        except ValueError:  # from int(): Python's guard against quadratic parsing
            digits = sys.get_int_max_str_digits()
            yield Raw(raw.number, None, f"a whole number of more than {digits} digits")
        else:
            yield Raw(raw.number, value)


def _refuse_unwritable(value: object, line: str) -> None:
    """Raise _RefusedError for half a surrogate pair, and for nesting over NESTING levels."""
    if "\\u" in line:
        try:
            escape_surrogates(json.dumps(value, ensure_ascii=False))
        except UnicodeEncodeError as error:
            code = ord(error.object[error.start])
            raise _RefusedError(f"\\u{code:04x} is half a character (a lone surrogate)") from error
    if len(line) > NESTING and line.count("[") + line.count("{") > NESTING and _deeper(value):
        raise _RefusedError(_TOO_DEEP)


def _deeper(value: object) -> bool:
    level = [value]
    for _ in range(NESTING):
        inner: list[object] = []
        for outer in level:
            if isinstance(outer, list):
                inner.extend(outer)
            elif isinstance(outer, dict):
                inner.extend(outer.values())
        level = inner
    return any(isinstance(inner, list | dict) for inner in level)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f"the key {twice!r} appears twice in one object")
    return members


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _RefusedError(f"the number {digits:.40} is too large")
    return number


def _constant(name: str) -> object:
    raise _RefusedError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_constant)
