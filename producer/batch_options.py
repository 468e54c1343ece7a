"""The options of a batch: which batches run before it, how many failures end it, how long the server keeps it."""

import re
from dataclasses import dataclass
from typing import Any, Self

from gristmill.config.quantities import DURATION, parse_duration, parse_share
from gristmill.config.settings import settings
from gristmill.errors import InputError

#: Priorities, the first ones run first; the one in the middle leaves room on both sides.
FIRST, LAST, DEFAULT_PRIORITY = 0, 9, 5
#: Seconds for which a batch may be kept: ten years.
LONGEST_SECONDS = 3650 * 86_400
#: What ends a batch early.
HALT = "fail=N for N failed items, or fail=P% for a share of all items, such as fail=10 or fail=5%"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """`halt` is a number of failed items (`10`) or a share of all (`10%`); `ttl` is in seconds after the end."""

    priority: int
    halt: str | None
    ttl: float

    @classmethod
    def of(
        cls, priority: int = DEFAULT_PRIORITY, halt: str | int | None = None, ttl: str | float | None = None
    ) -> Self:
        """The options, from what a person or a program gives: `halt` as `fail=10` or `fail=5%`, `ttl` as a duration.

        Raises:
            InputError: a value is not allowed; the text names the option, the value and what is expected.
        """
        if not FIRST <= priority <= LAST:
            raise InputError(f"invalid value for priority: {priority} (expected {FIRST}, the first, to {LAST})")
        seconds = settings().ttl_seconds if ttl is None else checked_ttl(ttl)
        return cls(priority, None if halt is None else checked_halt(halt), seconds)

    def fields(self) -> dict[str, Any]:
        """As the batch's state has them."""
        fields: dict[str, Any] = {"priority": self.priority, "ttl": round(1000 * self.ttl)}
        return fields if self.halt is None else {**fields, "halt": self.halt}


def checked_halt(value: str | int) -> str:
    """How many failed items end a batch, as its state keeps it: `10` of `fail=10`, `5%` of `fail=5%`.

    Raises:
        InputError: the value is not allowed.
    """
    text = str(value)
    limit = text.removeprefix("fail=")
    if limit != text and _is_limit(limit):
        return limit
    hint = f"; did you mean fail={text}?" if _is_limit(text) else ""
    raise InputError(f"invalid value for halt: {text!r} (expected {HALT}){hint}")


def _is_limit(text: str) -> bool:
    if not text.endswith("%"):
        return bool(re.fullmatch(r"[1-9]\d{0,14}", text, re.ASCII))
    try:
        parse_share(text)
    except ValueError:
        return False
    # The server reads it with as many digits.
    return bool(re.fullmatch(r"\d{1,3}(\.\d{1,6})?%", text, re.ASCII))


def checked_ttl(value: str | float) -> float:
    """How long the server keeps a batch after it ends, in seconds, from a duration such as `12h`.

    Raises:
        InputError: the value is not allowed.
    """
    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise InputError(f"invalid value for ttl: {str(value)!r} (expected {DURATION}, from 1s to 3650d)")
    return seconds
