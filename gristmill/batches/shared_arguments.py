"""The arguments that all items of a batch share, as people see them."""

import shlex
from json import dumps, loads
from typing import Any


def without_secrets(text: str) -> str:
    """The arguments that items share, or the name of a task, without the values of a program's variables."""
    command = _command(text)
    if command is None:
        return text
    return dumps({**loads(text), "command": {**command, "env": dict.fromkeys(command["env"], "***")}})


def difference(before: str, now: str) -> str:
    """How the arguments `before` that items share differ from those `now`: `--set {"n": 1}, not {"n": 2}`.

    Of two commands, the first part that differs, without the values of variables.
    """
    one, other = _command(before), _command(now)
    if one is None or other is None:
        return f"--set {without_secrets(before)}, not {without_secrets(now)}"
    for name, option in _PARTS.items():
        if one.get(name) != other.get(name):
            texts = [_text_of(name, command.get(name)) for command in (one, other)]
            if texts[0] == texts[1]:
                return f"another value of {option} {texts[0]}"
            return f"{option} {texts[0]}, not {texts[1]}"
    return f"{without_secrets(before)}, not {without_secrets(now)}"


#: The parts of a command, with the options that say them.
_PARTS = {
    "words": "--",
    "shell": "--shell",
    "workdir": "--workdir",
    "env": "--env",
    "ok_codes": "--ok-codes",
    "output_dir": "--output-dir",
}


def _command(text: str) -> dict[str, Any] | None:
    try:
        command = loads(text)["command"]
        dict(command["env"])
    except (ValueError, TypeError, LookupError):
        return None
    return dict(command)


def _text_of(name: str, value: Any) -> str:
    if name == "words":
        return shlex.join(value)
    if name == "env":
        return " ".join(sorted(value)) or "(none)"
    if name == "ok_codes":
        return ",".join(map(str, value))
    return str(value) if value else "(none)"
