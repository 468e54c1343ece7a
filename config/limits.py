"""How many items run at once, and start in a time, over the fleet: the limits of a task, or of a batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from gristmill.config.quantities import RATE, WIDTH, parse_rate, parse_width
from gristmill.errors import InputError, invalid_value

#: What an item is limited by: the name of a parameter, or a function of parameters whose own name is that name.
LimitBy = str | Callable[..., object]


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `max_running` items run at once (`8`, `50%` or `+2`), and `rate` start in a time (`10/s`).

    With `limit_by`, both hold for each value of that name.
    """

    max_running: str | None = None
    rate: str | None = None
    limit_by: str | None = None

    @classmethod
    def of(cls, max_running: str | int | None, rate: str | None, limit_by: LimitBy | None) -> Self:
        """The limits, from what a person or a program gives.

        Raises:
            InputError: a value is not valid, or `limit_by` has no limit.
        """
        name = limit_by if limit_by is None or isinstance(limit_by, str) else limit_by.__name__
        limits = cls(
            None if max_running is None else checked_max_running(max_running),
            None if rate is None else checked_rate(rate),
            name,
        )
        if name is not None and max_running is None and rate is None:
            raise InputError(invalid_value("limit_by", name, "max_running or rate beside it, for each of its values"))
        return limits

    def fields(self, prefix: str = "") -> dict[str, Any]:
        """As the batch's state has them, with `prefix` before each name."""
        names = ("max_running", "rate", "limit_by")
        return {f"{prefix}{name}": getattr(self, name) for name in names if getattr(self, name) is not None}


#: No limits.
UNLIMITED = Limits()


def rate_of(per_second: float) -> str:
    """A rate as text, in the unit in which it is a whole number: `10/s`, `30/m`, `1/h`."""
    for unit, seconds in (("s", 1), ("m", 60)):
        if per_second * seconds == round(per_second * seconds):
            return f"{round(per_second * seconds)}/{unit}"
    return f"{max(1, round(per_second * 3600))}/h"


def checked_max_running(value: str | int) -> str:
    """How many items run at once: `8`, `50%` or `+2`.

    Raises:
        InputError: the value is not valid.
    """
    try:
        parse_width("" if isinstance(value, bool) else str(value), 1)
    except ValueError:
        raise InputError(invalid_value("max_running", value, WIDTH)) from None
    return str(value)


def checked_rate(value: str) -> str:
    """How many items start in a time: `10/s`.

    Raises:
        InputError: the value is not valid.
    """
    try:
        parse_rate(str(value))
    except ValueError:
        raise InputError(invalid_value("rate", value, RATE)) from None
    return str(value)
