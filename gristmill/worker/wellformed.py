"""Checks the form of a message for Celery, so that no message can stop the worker that takes it."""

from collections.abc import Container, Mapping
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
#: Types of values that nest nothing, and with those that do all that JSON has.
_FLAT = frozenset((_TEXT, int, float, bool, _NONE))
_JSON = _FLAT | {list, dict}
#: The header `timelimit` of nearly every message.
_NO_LIMITS = [None, None]
#: Types of the parts of nearly every body.
_USUAL_BODY = [list, dict, dict]
#: Names and types of headers that were well formed -> the names of those that may nest. Messages of one sender have
#: the same, and to look them up takes a quarter of the time of the checks.
_usual: dict[tuple[Any, ...], tuple[str, ...]] = {}
#: Most of them, and of the characters of their names.
_USUAL_MOST, _NAMES_MOST = 100, 1_000


def check(message: Any, tasks: Container[str]) -> None:
    """Check a message before Celery makes a request of it; of a task that is not in `tasks`, only the name.

    Raises:
        InvalidTaskError: Celery cannot make a request of the message.
        Exception: its body cannot be decoded, or has a content type that is not accepted.
    """
    headers = message.headers
    if _is_usual(headers, message.properties) and headers["task"] in tasks and type(message.payload) is list:
        _check_depth(message)
        if [*map(type, message.payload)] != _USUAL_BODY:
            _check_body(message.payload)
        return
    if _deep([headers, message.properties]):
        raise InvalidTaskError(f"invalid headers: nested too deeply (expected at most {DEPTH} levels)")
    if "task" in headers:
        _allow("header task", headers["task"], (_TEXT,))
        if headers["task"] in tasks:
            _check_depth(message)
            _check_fields(headers, message.payload)
            if type(message.payload) is list:
                _remember(headers)
    elif isinstance(message.payload, dict) and "task" in message.payload:
        _check_depth(message)
        # Protocol 1 has everything in its body.
        fields = message.payload
        _allow("task in its body", fields["task"], (_TEXT,))
        _check_fields(fields, [fields.get("args", []), fields.get("kwargs", {}), None])


def _is_usual(headers: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Whether headers of the same types were well formed, and neither these nor `properties` nest."""
    nesting = _usual.get((*headers, *map(type, headers.values())))
    if nesting is None:
        return False
    for name in nesting:
        if headers[name] and headers[name] != _NO_LIMITS:
            return False
    for value in properties.values():
        if not (type(value) in _FLAT or (type(value) is dict and _FLAT.issuperset(map(type, value.values())))):
            return False
    return True


def _remember(headers: Mapping[str, Any]) -> None:
    """Have headers of the same names and types pass from now on."""
    kinds = {name: type(value) for name, value in headers.items()}
    if _JSON.issuperset(kinds.values()) and sum(map(len, kinds)) <= _NAMES_MOST and len(_usual) < _USUAL_MOST:
        _usual[*kinds, *kinds.values()] = tuple(name for name, kind in kinds.items() if kind not in _FLAT)


def _check_depth(message: Any) -> None:
    body, brackets = message.body, ("[", "{") if isinstance(message.body, str) else (b"[", b"{")
    # A body with few of them needs no walk.
    if body.count(brackets[0]) + body.count(brackets[1]) > DEPTH and _deep(message.payload):
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
    _check_body(body)
    for header, kinds in _HEADERS.items():
        # A call for each, and its text, would be a twentieth of all that a worker does for a message.
        if not isinstance(fields.get(header), kinds):
            _allow(f"header {header}", fields.get(header), kinds)
    limits = fields.get("timelimit") or (None, None)
    if len(limits) != 2 or not all(isinstance(limit, (*_NUMBER, _NONE)) for limit in limits):
        raise InvalidTaskError("invalid header timelimit (expected a pair of numbers)")


def _check_body(body: Any) -> None:
    if not isinstance(body, _LIST) or len(body) != len(_BODY):
        raise InvalidTaskError("invalid body (expected arguments, named arguments and options)")
    for (name, kinds), value in zip(_BODY.items(), body, strict=True):
        _allow(name, value, kinds)


def _allow(name: str, value: Any, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise InvalidTaskError(f"invalid {name}: {type(value).__name__} (expected {names})")
