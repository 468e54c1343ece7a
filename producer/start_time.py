"""When a batch begins that does not begin at once: a moment, or a time of day, or some time from now."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gristmill.batches.schedules import Schedules
from gristmill.batches.timetable import checked_timezone
from gristmill.config.quantities import LONGEST_SECONDS
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value
from gristmill.server.connection import client

#: The form of a time, for errors.
TIME = "a time to come such as 2026-01-31T02:30, 2026-01-31T02:30+01:00 or 02:30, within 3650d"


@dataclass(frozen=True, slots=True)
class StartTime:
    """A moment, or `delay` seconds from when the server is asked. Which of them is past, the server's clock says."""

    moment: datetime | None = None
    delay: float = 0.0

    @classmethod
    def of(cls, at: datetime | str, tz: str | None = None) -> "StartTime":
        """The time that a person or a program gives; without an offset it is local time, or that of the zone `tz`.

        Raises:
            InputError: it is not valid.
        """
        zone = None if tz is None else ZoneInfo(checked_timezone(tz))
        moment = _parsed(at, zone) if isinstance(at, str) else at
        if not isinstance(moment, datetime):
            raise InputError(invalid_value("at", at, TIME))
        return cls(moment if moment.tzinfo else moment.replace(tzinfo=zone).astimezone())

    def milliseconds(self) -> int:
        """The moment by the server's clock.

        Raises:
            InputError: it is past.
        """
        now = Schedules(client(), settings()).now()
        if self.moment is None:
            return now + round(1000 * self.delay)
        at = round(1000 * self.moment.timestamp())
        if not now < at <= now + 1000 * LONGEST_SECONDS:
            raise InputError(invalid_value("at", self.moment.isoformat(" ", "seconds"), TIME))
        return at


def _parsed(text: str, zone: ZoneInfo | None) -> datetime | None:
    """The moment that text names; a time of day is the next one."""
    if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", text, re.ASCII):
        now = datetime.now(zone).replace(tzinfo=None)
        try:
            parts = [int(part) for part in text.split(":")]
            moment = now.replace(hour=parts[0], minute=parts[1], second=sum(parts[2:]), microsecond=0)
        except ValueError:
            return None
        return moment if moment > now else moment + timedelta(days=1)
    try:
        return datetime.fromisoformat(text) if "T" in text or " " in text else None
    except ValueError:
        return None
