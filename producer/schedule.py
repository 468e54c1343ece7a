"""Makes a schedule: its items are read now, and a batch is made of them at each of its times."""

from dataclasses import dataclass
from typing import Any

from gristmill.batches.feed import Feed
from gristmill.batches.ledger import Ledger
from gristmill.batches.schedules import MISSED, NAME_MOST, OVERLAP, Draft, ScheduleInfo, Schedules, definition
from gristmill.batches.timetable import Timetable, checked_every
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value
from gristmill.producer.item_store import ItemStore
from gristmill.producer.submission import Submission
from gristmill.server.connection import client, reaching


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """The times of a schedule: those of the expression `cron` in the zone `timezone`, or each `every` seconds.

    `missed` says what becomes of the times at which no worker was alive: one run for all of them (`once`), or none
    (`skip`); `overlap` what becomes of a time at which the run before still runs: nothing (`skip`), or a run after its
    end (`wait`).
    """

    cron: Timetable | None
    every: float | None
    missed: str = MISSED[0]
    overlap: str = OVERLAP[0]

    @classmethod
    def of(
        cls,
        cron: str | None = None,
        every: str | float | None = None,
        *,
        tz: str | None = None,
        missed: str | None = None,
        overlap: str | None = None,
    ) -> "ScheduleOptions":
        """The options, from what a person or a program gives.

        Raises:
            InputError: a value is not valid, or the options do not go together.
        """
        if (cron is None) == (every is None):
            raise InputError("a schedule has cron or every, and not both")
        if every is not None and tz is not None:
            raise InputError(invalid_value("tz", tz, "no value with every, which goes by the time that passes"))
        for name, value, words in (("missed", missed, MISSED), ("overlap", overlap, OVERLAP)):
            if value is not None and value not in words:
                raise InputError(invalid_value(name, value, " or ".join(words)))
        table = None if cron is None else Timetable.of_cron(cron, tz or local_timezone())
        seconds = None if every is None else checked_every(every)
        return cls(table, seconds, missed or MISSED[0], overlap or OVERLAP[0])

    def timetable(self, now: int) -> Timetable:
        """The times, of a schedule that is made now (server time in ms)."""
        return self.cron or Timetable.of_every(self.every or 0, now)


class ScheduleSubmission(Submission):
    """Makes a schedule of the items. Making the same one again changes nothing."""

    makes_batch = False

    def __init__(self, *arguments: Any, schedule: ScheduleOptions, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.schedule_options = schedule
        self._draft: Draft | None = None
        if len(self.name) > NAME_MOST:
            raise InputError(
                invalid_value("name", self.name, f"up to {NAME_MOST} characters: batches are called by it and the time")
            )

    def _begin(self, ledger: Ledger, token: str) -> tuple[ItemStore, Feed]:  # noqa: ARG002
        options, now = self.schedule_options, Schedules(ledger.client, ledger.settings).now()
        timetable = options.timetable(now)
        due = timetable.next_after(now)
        if due is None:
            raise InputError(invalid_value("cron", timetable.cron, "an expression with a time to come"))
        fields = definition(timetable, options.missed, options.overlap, self._fields())
        self._draft = Draft(ledger.client, ledger.settings, fields, due)
        return self._draft, Feed(True, 0, "", False)

    @property
    def is_new(self) -> bool:
        """Whether there was no such schedule before."""
        return self._draft is not None and self._draft.answer == "made"

    def info(self) -> ScheduleInfo:
        """The schedule."""
        with reaching():
            return Schedules(client(), settings()).info(self.name)


def local_timezone() -> str:
    """The name of this host's time zone, where it can be told; else UTC."""
    # It looks at the places where systems keep it; Celery brings it along.
    from tzlocal import get_localzone_name

    try:
        return get_localzone_name() or "UTC"
    except LookupError:
        return "UTC"
