"""The options of a batch: its priority, the limits of its items, what ends it early, what the server keeps of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from typing import Any, Self, TypedDict

from gristmill.config.limits import UNLIMITED, Limits
from gristmill.config.quantities import DURATION, LONGEST_SECONDS, parse_duration
from gristmill.config.resources import checked_memory, checked_slots
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value
from gristmill.producer.follow_ups import After, BatchSource, checked_after
from gristmill.producer.halt import checked_halt
from gristmill.producer.labels import checked_labels
from gristmill.producer.notify import checked_notify

#: Priorities, the first ones run first; the one in the middle leaves room on both sides.
FIRST, LAST, DEFAULT_PRIORITY = 0, 9, 5
#: The items of which the server keeps what they wrote.
KEEP_LOGS = ("failed", "all", "none")
#: Most further attempts of an item.
RETRIES_MOST = 1000


class BatchKeywords(TypedDict, total=False):
    """The keywords of a batch's options that `submit` and `schedule` share, as `gristmill.submit` describes them."""

    priority: int
    halt: str | None
    ttl: str | float | None
    keep_logs: str | None
    output_dir: str | None
    memory: str | float | None
    slots: int | None
    retries: int | None
    time_limit: str | float | None
    max_running: str | int | None
    rate: str | None
    limit_by: str | None
    labels: Mapping[str, str] | None
    notify: str | None


class SubmitOptions(BatchKeywords, total=False):
    """What `submit` takes by keyword beside `set`, as `gristmill.submit` describes it."""

    name: str | None
    queue: str | None
    append: bool
    close_after: str | float | None
    dedupe_by: str | None
    token: str | None
    at: datetime | str | None
    after: After | None
    state: str | Iterable[str] | None
    flatten: bool
    max_wait: str | float | None


class ScheduleKeywords(BatchKeywords, total=False):
    """What `schedule` takes by keyword beside `name` and `set`, as `gristmill.schedule` describes it."""

    cron: str | None
    every: str | float | None
    tz: str | None
    missed: str
    overlap: str
    queue: str | None
    max_wait: str | float | None


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """`halt` ends the batch early, as text of halt.py; `ttl` is in seconds after the end.

    `keep_logs` says of which items the server keeps what they wrote: `failed`, `all` or `none`. An item takes `slots`
    slots, reserves `memory` bytes, has `retries` further attempts, and runs for `time_limit` seconds at most, 0 for no
    limit; None: as its task says. `limits` bound how many items run at once and start in a time. All that items write
    goes below `output_dir`, a path below the data root. Lists are filtered by `labels`. The batch begins when those of
    `after` have ended, as text of follow_ups.py; its items are the values of `source`, if there is one. Its end is told
    to the URL `notify`.
    """

    priority: int
    halt: str | None
    ttl: float
    keep_logs: str
    slots: int | None = None
    memory: int | None = None
    retries: int | None = None
    time_limit: float | None = None
    limits: Limits = UNLIMITED
    output_dir: str | None = None
    labels: Mapping[str, str] | None = None
    after: tuple[str, ...] = ()
    source: BatchSource | None = None
    notify: str | None = None

    @classmethod
    def of(  # noqa: PLR0913
        cls,
        priority: int = DEFAULT_PRIORITY,
        halt: str | None = None,
        ttl: str | float | None = None,
        *,
        keep_logs: str | None = None,
        slots: int | None = None,
        memory: str | float | None = None,
        retries: int | None = None,
        time_limit: str | float | None = None,
        max_running: str | int | None = None,
        rate: str | None = None,
        limit_by: str | None = None,
        output_dir: str | None = None,
        labels: Mapping[str, str] | None = None,
        after: After | None = None,
        from_batch: str | None = None,
        state: str | Iterable[str] | None = None,
        flatten: bool = False,
        notify: str | None = None,
    ) -> Self:
        """The options, from what a person or a program gives; durations and sizes as numbers or text.

        Raises:
            InputError: a value is not valid.
        """
        if type(priority) is not int or not FIRST <= priority <= LAST:
            raise InputError(
                invalid_value("priority", priority, f"an integer from {FIRST}, which runs first, to {LAST}")
            )
        keep = settings().keep_logs if keep_logs is None else keep_logs
        if keep not in KEEP_LOGS:
            raise InputError(invalid_value("keep_logs", keep, ", ".join(KEEP_LOGS)))
        return cls(
            priority,
            None if halt is None else checked_halt(halt),
            settings().ttl_seconds if ttl is None else checked_duration(ttl, "ttl", 1),
            keep,
            None if slots is None else checked_slots(slots),
            None if memory is None else checked_memory(memory),
            None if retries is None else checked_retries(retries),
            None if time_limit is None else checked_duration(time_limit, "time_limit", 0),
            Limits.of(max_running, rate, limit_by),
            None if output_dir is None else checked_output_dir(output_dir),
            None if labels is None else checked_labels(labels),
            checked_after(after),
            BatchSource.of(from_batch, state, flatten=flatten),
            None if notify is None else checked_notify(notify),
        )

    def fields(self) -> dict[str, Any]:
        """As the batch's state has them, but for the resources of an item."""
        names = ("halt", "retries", "time_limit", "output_dir")
        limits = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        if self.labels:
            limits["labels"] = json.dumps(self.labels)
        if self.after:
            limits["after"] = " ".join(self.after)
        if self.source:
            limits |= self.source.fields()
        if self.notify:
            limits["notify"] = self.notify
            if settings().stuck_seconds:
                limits["stuck_after"] = round(1000 * settings().stuck_seconds)
        always = {"priority": self.priority, "ttl": round(1000 * self.ttl), "keep_logs": self.keep_logs}
        return {**always, **limits, **self.limits.fields()}


#: What `BatchOptions.of` takes.
OPTION_NAMES = tuple(signature(BatchOptions.of).parameters)


def checked_retries(value: object) -> int:
    """How many more attempts an item that failed has.

    Raises:
        InputError: the value is not valid.
    """
    if type(value) is not int or not 0 <= value <= RETRIES_MOST:
        raise InputError(invalid_value("retries", value, f"an integer from 0 to {RETRIES_MOST:,}"))
    return value


def checked_output_dir(path: str) -> str:
    """A directory below the data root, where each item has a folder for what it writes.

    Raises:
        InputError: the path cannot be such a directory.
    """
    # Loaded here, because most commands do without.
    from gristmill.tasks.data_root import DataRootError, check_path

    try:
        check_path(path, "output_dir")
    except DataRootError as error:
        raise InputError(str(error)) from None
    return path


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
