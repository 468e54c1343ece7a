"""Checks the form of a message for Celery, so that no message can stop the worker that takes it."""

from collections.abc import Container
from typing import Any

from celery.exceptions import InvalidTaskError

_TEXT, _NUMBER, _LIST, _NONE = str, (int, float), (list, tuple), type(None)
_CONTAINERS = (dict, *_LIST)

#: Most levels of nested lists and objects: deeper ones would exhaust the stack of a worker that copies them.
DEPTH = 100

#: The parts of a body.
_BODY: dict[str, tuple[type, ...]] = {"arguments": _LIST, "named arguments": (dict,), "options": (dict, _NONE)}
#: Header -> the types that Celery accepts; Celery only passes other headers on.
_HEADERS: dict[str, tuple[type, ...]] = {
    "id": (_TEXT,),
    "root_id": (_TEXT, _NONE),
    "parent_id": (_TEXT, _NONE),
    "group": (_TEXT, _NONE),
    "shadow": (_TEXT, _NONE),
    "eta": (_TEXT, _NONE),
    "expires": (_TEXT, *_NUMBER, _NONE),
    "retries": (int, _NONE),
    "timelimit": (*_LIST, _NONE),
    "argsrepr": (_TEXT, _NONE),
    "kwargsrepr": (_TEXT, _NONE),
    "origin": (_TEXT, _NONE),
    "ignore_result": (bool, _NONE),
    "replaced_task_nesting": (int, _NONE),
    "stamped_headers": (list, _NONE),
    "stamps": (dict, _NONE),
    "groups": (list, _NONE),
}


def check(message: Any, tasks: Container[str]) -> None:
    """Check a message before Celery makes a request of it; of a task that is not in `tasks`, only the name.

    Raises:
        InvalidTaskError: Celery cannot make a request of the message.
        Exception: its body cannot be decoded, or has a content type that is not accepted.
    """
    headers = message.headers
    if _deep([headers, message.properties]):
        raise InvalidTaskError(f"invalid headers: nested too deeply (expected at most {DEPTH} levels)")
    if "task" in headers:
        _allow("header task", headers["task"], (_TEXT,))
        if headers["task"] in tasks:
            _check_depth(message)
            _check_fields(headers, message.payload)
    elif isinstance(message.payload, dict) and "task" in message.payload:
        _check_depth(message)
        # Protocol 1 has everything in its body.
        fields = message.payload
        _allow("task in its body", fields["task"], (_TEXT,))
        _check_fields(fields, [fields.get("args", []), fields.get("kwargs", {}), None])


def _check_depth(message: Any) -> None:
    brackets: tuple[Any, ...] = ("[", "{") if isinstance(message.body, str) else (b"[", b"{")
    # A body with few of them needs no walk.
    if sum(message.body.count(bracket) for bracket in brackets) > DEPTH and _deep(message.payload):
        raise InvalidTaskError(f"invalid body: nested too deeply (expected at most {DEPTH} levels)")


def _deep(value: Any) -> bool:
    layer = [value]
    for _ in range(DEPTH + 1):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            # Most values are text or null, and not to be a container takes three looks to find out.
            if inner is not None and type(inner) is not str and isinstance(inner, _CONTAINERS)
        ]
        if not layer:
            return False
    return True


def _check_fields(fields: dict[str, Any], body: Any) -> None:
    if isinstance(body, dict):
        # Celery reads a body of protocol 1 below headers of protocol 2 too.
        fields, body = {**body, **fields}, [body.get("args"), body.get("kwargs"), None]
    if not isinstance(body, _LIST) or len(body) != len(_BODY):
        raise InvalidTaskError("invalid body (expected arguments, named arguments and options)")
    for (name, kinds), value in zip(_BODY.items(), body, strict=True):
        _allow(name, value, kinds)
    for header, kinds in _HEADERS.items():
        # A call for each, and its text, would be a twentieth of all that a worker does for a message.
        if not isinstance(fields.get(header), kinds):
            _allow(f"header {header}", fields.get(header), kinds)
    limits = fields.get("timelimit") or (None, None)
    if len(limits) != 2 or not all(isinstance(limit, (*_NUMBER, _NONE)) for limit in limits):
        raise InvalidTaskError("invalid header timelimit (expected a pair of numbers)")


def _allow(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidTaskError(f"invalid {name}: {type(value).__name__} (expected {names})")
