"""What a worker announces of a task that it knows: enough to submit the task without its module."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Announcement:
    """One task as one worker has it.

    `fingerprint` covers the code in `modules`: a hash for each of them. `kind` is the name of the task's queue.
    `parameters` maps each parameter's name to whether an item must give it, and `objects` to whether its value may be
    an object; `retries` is how many more times a failed item is tried.
    """

    fingerprint: str
    kind: str = ""
    parameters: dict[str, bool] = field(default_factory=dict)
    retries: int = 0
    modules: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bool] = field(default_factory=dict)


def announcements_json(tasks: Mapping[str, Announcement]) -> str:
    """The announcements of one worker, by task, as the server keeps them."""
    return json.dumps({name: asdict(announcement) for name, announcement in tasks.items()})


def read_announcements(text: str | None) -> dict[str, Announcement]:
    """The announcements of one worker, by task; none where another version of Gristmill wrote something else."""
    try:
        tasks = json.loads(text or "{}")
        return {str(name): _announcement(task) for name, task in tasks.items()}
    except (AttributeError, TypeError, ValueError):
        return {}


_FIELDS = {one.name for one in fields(Announcement)}


def _announcement(task: Any) -> Announcement:
    if isinstance(task, str):
        return Announcement(task)
    return Announcement(**{name: value for name, value in task.items() if name in _FIELDS})
