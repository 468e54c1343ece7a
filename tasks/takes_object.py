"""Whether a type takes an object: a JSON object given for a parameter of another type can only be one of arguments."""

from collections.abc import Mapping
from typing import Any

#: Types of pydantic-core that refuse every object.
_NEVER = frozenset({
    "bool", "bytes", "complex", "date", "datetime", "decimal", "enum", "float", "frozenset", "int", "json", "list",
    "literal", "multi-host-url", "none", "set", "str", "time", "timedelta", "tuple", "url", "uuid",
})  # fmt: skip
#: Types that add to another one, and the key that it has in the schema.
_INNER = {
    "nullable": "schema",
    "default": "schema",
    "function-after": "schema",
    "lax-or-strict": "lax_schema",
    "json-or-python": "python_schema",
}


def takes_object(schema: Mapping[str, Any]) -> bool:
    """Whether a value of a pydantic-core schema may be an object; true where the schema does not tell."""
    kind = schema["type"]
    if kind in _NEVER:
        return False
    if kind in _INNER:
        return takes_object(schema[_INNER[kind]])
    if kind == "union":
        return any(takes_object(choice[0] if isinstance(choice, tuple) else choice) for choice in schema["choices"])
    if kind == "chain":
        return takes_object(schema["steps"][0])
    if kind == "is-instance":
        return isinstance({}, schema["cls"])
    return True
