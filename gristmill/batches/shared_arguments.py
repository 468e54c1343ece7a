"""The arguments that all items of a batch share, as people see them."""

from json import dumps, loads


def without_secrets(text: str) -> str:
    """The arguments that items share, or the name of a task, without the values of a program's variables."""
    try:
        command = loads(text)["command"]
        names = dict.fromkeys(command["env"], "***")
    except (ValueError, TypeError, LookupError):
        return text
    return dumps({**loads(text), "command": {**command, "env": names}})
