"""The names of batches and queues: one form for all of them."""

import re

from gristmill.errors import InputError, invalid_value

#: The form of a name.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_EXPECTED = "1 to 64 letters, digits, dots, dashes and underscores, the first one a letter or digit"
#: The kinds of tasks, each the name of a queue. `gristmill.tasks.task` imports Celery, which takes longer to load than
#: most commands run.
KINDS = ("cpu", "io")
#: The task that runs programs.
PROGRAM = "program"
#: A part of the keys of Celery's replies, to which each user of the server has a right, whatever stands before it.
_REPLIES = ".gristmill.pidbox"
#: The part of `gristmill up` that is no queue.
DASHBOARD = "flower"


def checked_name(name: object, parameter: str = "name") -> str:
    """The name, if a batch may have it.

    Raises:
        InputError: it is not valid; the text names the `parameter`.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InputError(invalid_value(parameter, name, _EXPECTED))
    if _REPLIES in name:
        raise InputError(invalid_value(parameter, name, f"a name without {_REPLIES}: Celery's replies have it"))
    # An enumeration's member is a str too, and JSON and Redis read a plain one alike.
    return str(name)


def checked_queue(name: object) -> str:
    """The name, if a queue may have it.

    Raises:
        InputError: it is not valid.
    """
    if name == DASHBOARD:
        raise InputError(invalid_value("queue", name, f"another name: {DASHBOARD} is the dashboard in `gristmill up`"))
    return checked_name(name, "queue")


def unglobbed(text: str) -> str:
    """The text as a pattern of SCAN, or of files, that only this text matches."""
    return re.sub(r"([*?[\]^\\])", r"\\\1", text)


def worker_word(queue: str, kind: str) -> str:
    """The word that starts a worker for the tasks of a kind on a queue: `gpu`, or `mail:io`; without a kind, `mail`."""
    return f"{queue}:io" if kind == "io" and queue != "io" else queue
