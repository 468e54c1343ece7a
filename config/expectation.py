"""What a JSON schema allows, in the words of errors and of tables."""

from collections.abc import Mapping
from typing import Any

_TYPES = {
    "integer": "an integer",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
#: Text of a certain form.
_FORMATS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T12:30:00",
    "time": "a time such as 12:30:00",
    "duration": "a duration such as P1DT12H or 12:30:00",
    "path": "a path",
    "file-path": "the path of a file",
    "directory-path": "the path of a directory",
    "uuid": "a UUID",
    "uri": "a URL",
}


def describe(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words: `an integer from 0 to 5,000,000`, `one of 'naive', 'doubling'`."""
    if "expectation" in schema:
        return str(schema["expectation"])
    if "enum" in schema:
        return "one of " + ", ".join(repr(choice) for choice in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if "anyOf" in schema:
        return " or ".join(describe(choice) for choice in schema["anyOf"])
    if "quantity" in schema:
        limits = _range(schema).replace(" 1 bytes", " 1 byte")
        return schema["quantity"] if limits == "at least 0 bytes" else f"{schema['quantity']}, {limits}"
    kind = _FORMATS.get(schema.get("format", "")) or _TYPES.get(schema.get("type", ""), "a value of its type")
    return " ".join([kind, _range(schema)]).strip()


def _range(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    unit = f" {schema['unit']}" if "unit" in schema else ""
    if least is not None and most is not None:
        return f"from {_figure(least)} to {_figure(most)}{unit}"
    limits = [("at least", least), ("above", above), ("at most", most), ("below", below)]
    words = [f"{word} {_figure(limit)}" for word, limit in limits if limit is not None]
    return " and ".join(words) + unit if words else ""


def _figure(limit: float) -> str:
    whole = isinstance(limit, int) or limit.is_integer()
    return f"{int(limit):,}" if whole else f"{limit:g}"
