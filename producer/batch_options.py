"""The terms on which a batch runs: before which others, until how many failures, and how long it is kept."""

import re
from dataclasses import dataclass
from typing import Any, Self

from gristmill.config.settings import settings
from gristmill.errors import InputError

#: Priorities, the first ones run first; the one in the middle leaves room on both sides.
FIRST, LAST, DEFAULT_PRIORITY = 0, 9, 5
#: Seconds for which a batch may be kept: ten years.
LONGEST_SECONDS = 3650 * 86_400
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


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
        """The terms, from what a person or a program gives.

        Raises:
            InputError: one is not allowed; the text names it and says what is.
        """
        if not FIRST <= priority <= LAST:
            raise InputError(f"--priority {priority} is not allowed: {FIRST} (first) to {LAST} (last) is")
        kept = settings().ttl_seconds if ttl is None else seconds(ttl)
        return cls(priority, None if halt is None else checked_halt(str(halt)), kept)

    def fields(self) -> dict[str, Any]:
        """As the batch's state has them."""
        found: dict[str, Any] = {"priority": self.priority, "ttl": round(1000 * self.ttl)}
        return found if self.halt is None else {**found, "halt": self.halt}


def checked_halt(text: str) -> str:
    """How many failed items end a batch, if that is allowed.

    Raises:
        InputError: it is not.
    """
    number = re.fullmatch(r"[1-9]\d{0,14}|(\d{1,3}(?:\.\d{1,6})?)%", text)
    if not number or (number[1] is not None and not 0 < float(number[1]) <= 100):
        raise InputError(
            f"--halt {text!r} is not allowed: a number of items from 1 on, or a share of all from above 0% to 100%, is"
        )
    return text


def seconds(given: str | float) -> float:
    """How long a batch is kept, in seconds: a number, or text with a unit such as `90s`, `30m`, `12h`, `7d`.

    Raises:
        InputError: it is not allowed.
    """
    found = re.fullmatch(r"(\d{1,10}(?:\.\d{1,6})?)([smhd]?)", str(given))
    kept = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 1 <= kept <= LONGEST_SECONDS:
        raise InputError(
            f"--ttl {str(given)!r} is not allowed: seconds, or a time such as 90s, 30m, 12h, 7d, is, "
            "from 1 second to 3650 days"
        )
    return kept
