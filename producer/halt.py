"""What ends a batch early: `--halt`, in the words of GNU parallel."""

import re

from gristmill.config.quantities import parse_share
from gristmill.errors import InputError, invalid_value

#: The form of a value, for errors.
HALT = (
    "fail=N for N failed items, fail=P% for a share of all items, success=N or success=P% for succeeded ones, such as "
    "fail=10; soon, before it lets running items finish, as without it, and now, ends them"
)


def checked_halt(value: object) -> str:
    """What ends a batch early, as its state keeps it: `fail=10` of `soon,fail=10`, `now,success=5%` of the same.

    Raises:
        InputError: the value is not valid.
    """
    text = str(value)
    match = re.fullmatch(r"(?:soon,|(now,))?(fail|success)=(.*)", text, re.DOTALL)
    if match and _is_limit(match[3]):
        return f"{match[1] or ''}{match[2]}={match[3]}"
    hint = f"; did you mean fail={text}?" if _is_limit(text) else ""
    raise InputError(invalid_value("halt", value, HALT) + hint)


def _is_limit(text: str) -> bool:
    if not text.endswith("%"):
        return bool(re.fullmatch(r"[1-9]\d{0,14}", text, re.ASCII))
    try:
        parse_share(text)
    except ValueError:
        return False
    # The server reads it with as many digits.
    return bool(re.fullmatch(r"\d{1,3}(\.\d{1,6})?%", text, re.ASCII))
