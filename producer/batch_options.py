"""The options of a batch: which run before it, how many failures end it, what the server keeps and how long."""

import re
from dataclasses import dataclass
from typing import Any, Self, TypedDict

from gristmill.config.quantities import DURATION, parse_duration, parse_share
from gristmill.config.resources import checked_memory, checked_slots
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value

#: Priorities, the first ones run first; the one in the middle leaves room on both sides.
FIRST, LAST, DEFAULT_PRIORITY = 0, 9, 5
#: The items of which the server keeps what they wrote.
KEEP_LOGS = ("failed", "all", "none")
#: Seconds for which a batch may be kept, and for which a call may wait: ten years.
LONGEST_SECONDS = 3650 * 86_400
#: What ends a batch early.
HALT = "fail=N for N failed items, or fail=P% for a share of all items, such as fail=10 or fail=5%"


class SubmitOptions(TypedDict, total=False):
    """What `submit` takes by keyword beside `set`, as `gristmill.submit` describes it."""

    name: str | None
    queue: str | None
    priority: int
    halt: str | None
    ttl: str | float | None
    keep_logs: str | None
    memory: str | float | None
    slots: int | None
    max_wait: str | float | None


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """`halt` is a number of failed items (`10`) or a share of all (`10%`); `ttl` is in seconds after the end.

    `keep_logs` says of which items the server keeps what they wrote: `failed`, `all` or `none`. An item takes `slots`
    slots, and reserves `memory` bytes; None: as its task says.
    """

    priority: int
    halt: str | None
    ttl: float
    keep_logs: str
    slots: int | None = None
    memory: int | None = None

    @classmethod
    def of(
        cls,
        priority: int = DEFAULT_PRIORITY,
        halt: str | None = None,
        ttl: str | float | None = None,
        keep_logs: str | None = None,
        slots: int | None = None,
        memory: str | float | None = None,
    ) -> Self:
        """The options, from what a person or a program gives: `halt` as `fail=10` or `fail=5%`, `ttl` as a duration.

        Raises:
            InputError: a value is not valid.
        """
        if type(priority) is not int or not FIRST <= priority <= LAST:
            raise InputError(
                invalid_value("priority", priority, f"an integer from {FIRST}, which runs first, to {LAST}")
            )
        seconds = settings().ttl_seconds if ttl is None else checked_duration(ttl, "ttl", 1)
        keep = settings().keep_logs if keep_logs is None else keep_logs
        if keep not in KEEP_LOGS:
            raise InputError(invalid_value("keep_logs", keep, ", ".join(KEEP_LOGS)))
        return cls(
            priority,
            None if halt is None else checked_halt(halt),
            seconds,
            keep,
            None if slots is None else checked_slots(slots),
            None if memory is None else checked_memory(memory),
        )

    def fields(self) -> dict[str, Any]:
        """As the batch's state has them."""
        fields: dict[str, Any] = {"priority": self.priority, "ttl": round(1000 * self.ttl), "keep_logs": self.keep_logs}
        return fields if self.halt is None else {**fields, "halt": self.halt}


def checked_halt(value: object) -> str:
    """How many failed items end a batch, as its state keeps it: `10` of `fail=10`, `5%` of `fail=5%`.

    Raises:
        InputError: the value is not valid.
    """
    text = str(value)
    limit = text.removeprefix("fail=")
    if limit != text and _is_limit(limit):
        return limit
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


def checked_max_wait(value: str | float) -> float:
    """How long a call waits at most, in seconds, from a duration such as `10m`.

    Raises:
        InputError: the value is not valid.
    """
    return checked_duration(value, "max_wait", 0)


def checked_duration(value: str | float, name: str, least: int) -> float:
    """The seconds of a duration such as `12h` that is given as `name`; it has `least` seconds or more.

    Raises:
        InputError: the value is not valid.
    """
    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= LONGEST_SECONDS:
        raise InputError(invalid_value(name, value, f"{DURATION}, from {least}s to 3650d"))
    return seconds
