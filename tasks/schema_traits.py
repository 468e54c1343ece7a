"""What the types of a pydantic-core schema mean for JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, PydanticUserError, TypeAdapter

#: Types that JSON has as they are, if nothing but these keys describes them.
_JSON = frozenset({"int", "float", "str", "bool", "none", "any", "list", "dict", "nullable", "union"})
_PARTS = frozenset({"type", "schema", "items_schema", "keys_schema", "values_schema", "choices", "ref", "metadata"})
#: Types of keys of which no two are the same in JSON.
_DISTINCT = frozenset({"str", "int", "float", "bool", "date", "time", "datetime", "timedelta", "uuid"})


def adapter_of(annotation: Any) -> TypeAdapter[Any]:
    """The adapter of a parameter's annotation."""
    try:
        # Else NaN would be stored as null, unasked.
        return TypeAdapter(annotation, config=ConfigDict(ser_json_inf_nan="constants"))
    except PydanticUserError:
        # A model brings a configuration of its own.
        return TypeAdapter(annotation)


@dataclass(frozen=True, slots=True)
class SchemaTraits:
    """Traits of a schema.

    `is_json`: JSON has each value as it is, and whoever reads the JSON need not convert it. `has_any`: parts may be of
    any type. `keys_may_repeat`: two keys of a dict may be the same in JSON. `has_generator`: a part comes one by one.
    """

    is_json: bool
    has_any: bool
    keys_may_repeat: bool
    has_generator: bool

    @classmethod
    def of(cls, schema: Any) -> "SchemaTraits":
        """The traits of a pydantic-core schema."""
        nodes = list(_nodes(schema))
        kinds = {node["type"] for node in nodes}
        keys = [node.get("keys_schema", {}).get("type", "any") for node in nodes if node["type"] == "dict"]
        has_any = "any" in kinds
        return cls(
            is_json=all(_PARTS.issuperset(node) for node in nodes)
            and kinds <= _JSON
            and all(key in ("str", "any") for key in keys),
            has_any=has_any,
            keys_may_repeat=has_any or not _DISTINCT.issuperset(keys) or any("extra_behavior" in n for n in nodes),
            has_generator="generator" in kinds,
        )


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema, itself included."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield schema
        for part in schema.values():
            yield from _nodes(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _nodes(part)
