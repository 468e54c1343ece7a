"""When a schedule is due: at the times of a cron expression, or each time a duration has passed."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from gristmill.config.quantities import DURATION, LONGEST_SECONDS, parse_duration
from gristmill.errors import InputError, invalid_value

#: The form of a cron expression, for errors.
CRON = (
    "five fields such as '30 2 * * mon-fri' (minute, hour, day of the month, month, day of the week), "
    "with a time to come"
)
TIMEZONE = "a time zone such as Europe/Berlin or UTC"
#: Seconds between two times, at least.
EVERY_LEAST = 1


@dataclass(frozen=True, slots=True)
class Timetable:
    """Times of a cron expression in a time zone, or each `every` seconds from `start` (server time in ms) on.

    At a change of the clocks, cron times go as in Debian's cron: what falls in the hour that is skipped is due right
    after it, and what falls in the hour that comes twice is due once. Expressions whose minutes or hours begin with a
    star go by the time that passes.
    """

    cron: str = ""
    timezone: str = "UTC"
    every: float = 0.0
    start: int = 0

    @classmethod
    def of_cron(cls, expression: str, timezone: str = "UTC") -> Self:
        """The times of a cron expression.

        Raises:
            InputError: the expression or the time zone is not valid, or has no time to come.
        """
        table = cls(" ".join(expression.split()), checked_timezone(timezone))
        try:
            valid = len(expression.split()) == 5 and table.next_after(0) is not None
        except CronSimError:
            valid = False
        if not valid:
            raise InputError(invalid_value("cron", expression, CRON))
        return table

    @classmethod
    def of_every(cls, duration: str | float, start: int) -> Self:
        """Each time that the duration has passed since `start`.

        Raises:
            InputError: the duration is not valid.
        """
        return cls(every=checked_every(duration), start=start)

    @classmethod
    def of_text(cls, text: str, timezone: str, start: str) -> Self:
        """The times that `text`, `timezone` and `start` of another timetable stand for."""
        if text.startswith("every "):
            return cls(every=parse_duration(text.removeprefix("every ")), start=int(start))
        return cls(text, timezone)

    @property
    def text(self) -> str:
        """The times in one line, as the server keeps them."""
        return self.cron or f"every {self.every:.15g}s"

    def next_after(self, after: int) -> int | None:
        """The first time behind `after`; None when there is none within fifty years. Server time in ms."""
        if not self.cron:
            step = 1000 * self.every
            return round(self.start + step * (math.floor((after - self.start) / step) + 1))
        zone = ZoneInfo(self.timezone)
        for moment in CronSim(self.cron, datetime.fromtimestamp(after / 1000, UTC).astimezone(zone)):
            # In the hour that comes twice, local times begin again.
            if (due := round(1000 * moment.timestamp())) > after:
                return due
        return None


def checked_timezone(name: str) -> str:
    """The name of a time zone.

    Raises:
        InputError: there is no such zone.
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise InputError(invalid_value("tz", name, TIMEZONE)) from None
    return name


def checked_every(duration: str | float) -> float:
    """The seconds of a duration between two times.

    Raises:
        InputError: it is not valid.
    """
    try:
        seconds = parse_duration(duration)
    except ValueError:
        seconds = 0.0
    if not EVERY_LEAST <= seconds <= LONGEST_SECONDS:
        raise InputError(invalid_value("every", duration, f"{DURATION}, from 1s to 3650d"))
    return seconds


def run_name(schedule: str, due: int) -> str:
    """The name of the batch of a schedule that is due at that time: `nightly-20260131-013000`, in UTC."""
    return f"{schedule}-{datetime.fromtimestamp(due // 1000, UTC):%Y%m%d-%H%M%S}"
