"""What a worker announces of a task that it knows: enough to submit the task without its module."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from typing import Any, get_origin, get_type_hints


@dataclass(frozen=True, slots=True)
class Announcement:
    """One task as one worker has it.

    `fingerprint` covers the code in `modules`: a hash for each of them. `kind` is `cpu` or `io`. `parameters` maps each
    parameter's name to whether an item must give it, and `objects` to whether its value may be an object; `retries` is
    how many more times a failed item is tried. `is_async` says that its items are coroutines. `queue` is the task's
    queue, or empty for that of its kind. An item takes `slots` slots, and reserves `memory` bytes. `max_running`,
    `rate` and `limit_by` are the task's own limits, empty for none.
    """

    fingerprint: str
    kind: str = ""
    parameters: dict[str, bool] = field(default_factory=dict)
    retries: int = 0
    modules: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bool] = field(default_factory=dict)
    is_async: bool = False
    queue: str = ""
    slots: int = 1
    memory: int = 0
    max_running: str = ""
    rate: str = ""
    limit_by: str = ""


def announcements_json(tasks: Mapping[str, Announcement]) -> str:
    """The announcements of one worker, by task, as the server keeps them."""
    return json.dumps({name: asdict(announcement) for name, announcement in tasks.items()})


def read_announcements(text: str | None) -> dict[str, Announcement]:
    """The announcements of one worker, by task, without those that nobody can read."""
    return {
        name: Announcement(**read_fields(Announcement, {"fingerprint": task} if isinstance(task, str) else task))
        for name, task in _object(text or "{}").items()
        if isinstance(task, str) or "fingerprint" in read_fields(Announcement, task)
    }


@lru_cache(maxsize=64)
def read_fingerprints(text: str | None) -> Mapping[str, str]:
    """The fingerprint of each task that one worker announces; read once for all workers that have the same tasks."""
    return {name: announcement.fingerprint for name, announcement in read_announcements(text).items()}


def read_fields(kind: type, values: Any) -> dict[str, Any]:
    """The fields of a dataclass in `values`, an object or its JSON text, as far as they are there with their type.

    Workers of other versions send more, or less; one that sends nonsense must harm nobody else.
    """
    values = _object(values)
    return {name: values[name] for name, hint in _types(kind).items() if name in values and _fits(values[name], hint)}


def read_setup_errors(text: str | None) -> dict[str, str]:
    """The errors of the tasks whose setup fails on a worker, by task, from what note_setup.lua stores of it."""
    attempts = ((name, _object(attempt)) for name, attempt in _object(text or "{}").items())
    return {
        name: attempt["error"]
        for name, attempt in attempts
        if isinstance(attempt.get("error"), str) and attempt["error"]
    }


@cache
def _types(kind: type) -> dict[str, type]:
    return {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}


def _object(values: Any) -> dict[str, Any]:
    if isinstance(values, str):
        try:
            values = json.loads(values)
        except (ValueError, RecursionError):
            return {}
    return values if isinstance(values, dict) else {}


def _fits(value: Any, kind: type) -> bool:
    return type(value) is kind or (kind is float and type(value) is int)
