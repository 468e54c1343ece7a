"""`schedule`: the items of a Python program, of which the server makes a batch at each time; and what is scheduled."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import Unpack

from gristmill.batches.schedules import MISSED, OVERLAP, ScheduleInfo, Schedules
from gristmill.config.settings import settings
from gristmill.producer.batch import Batch
from gristmill.producer.batch_options import BatchKeywords, BatchOptions
from gristmill.producer.batches import open_batch
from gristmill.producer.new_submission import new_submission
from gristmill.producer.schedule import ScheduleOptions
from gristmill.producer.task_lookup import checked_task
from gristmill.producer.values import fixed_arguments, source_of
from gristmill.producer.watching import deadline_of
from gristmill.server.connection import client, reaching
from gristmill.server.waiting import within

log = logging.getLogger(__name__)


class Schedule:
    """One schedule on the server: `schedule` makes it, and `open_schedule` finds it by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Schedule({self.name!r})"

    def info(self) -> ScheduleInfo:
        """Its times, its next time, and what became of the last one.

        Raises:
            InputError: somebody has deleted it.
            ServerError: the server cannot be reached.
        """
        with reaching():
            return _on_server().info(self.name)

    def run(self) -> Batch[Any]:
        """Make a batch of it now, whatever its times, and return the batch; raises as `info`.

        Raises:
            InputError: a batch has that name already, or somebody has deleted the schedule.
        """
        with reaching():
            return open_batch(_on_server().run(self.name))

    def pause(self) -> bool:
        """Make no batches until `resume`, those that were made go on; False if it was paused. Raises as `info`."""
        with reaching():
            return _on_server().pause(self.name)

    def resume(self) -> bool:
        """Go on from its next time on; False if it was not paused. Raises as `info`."""
        with reaching():
            return _on_server().resume(self.name)

    def delete(self) -> None:
        """Delete the schedule; its batches stay. Raises as `info`."""
        with reaching():
            _on_server().delete(self.name)


def schedule(  # noqa: PLR0913
    task: Any,
    items: Iterable[Any] | None = None,
    *,
    name: str,
    cron: str | None = None,
    every: str | float | None = None,
    tz: str | None = None,
    missed: str = MISSED[0],
    overlap: str = OVERLAP[0],
    set: Mapping[str, Any] | None = None,  # noqa: A002
    queue: str | None = None,
    max_wait: str | float | None = None,
    **options: Unpack[BatchKeywords],
) -> Schedule:
    """Store `items` on the server, which makes a batch of them at each time, and return the schedule.

    The items are read and checked once, now. Any live worker makes the batches: this program need not go on. Making
    the same schedule again changes nothing.

    Args:
        task, items, set, queue: as `gristmill.submit` has them; `items` is no batch. For items that change from one
            time to the next, schedule a task that submits them.
        name: the schedule's name, of 48 characters at most. Its batches are called by it and their time in UTC, such as
            `nightly-20260131-013000`.
        cron: the times, as five fields such as `"30 2 * * mon-fri"`: minute, hour, day of the month, month, day of the
            week. Either `cron` or `every`.
        every: make a batch each time that this has passed: seconds, or text such as `"10m"`; one second at least.
        tz: the time zone of `cron`, such as `"Europe/Berlin"` (default: that of this host).
        missed: what becomes of the times at which no worker was alive: `"once"`, one batch for all of them, or
            `"skip"`, none.
        overlap: what becomes of a time at which the batch before still runs: `"skip"`, nothing, or `"wait"`, a batch
            after its end.
        max_wait: how long to wait for a server that is full, as in `submit`.
        options: `priority`, `halt`, `ttl`, `keep_logs`, `output_dir`, `memory`, `slots`, `retries`, `time_limit`,
            `max_running`, `rate`, `limit_by`, `labels` and `notify` of each batch, as `submit` has them.

    Raises:
        InputError: a value is not valid, or a schedule of that name has other items, times or options.
        ServerError: the server cannot be reached or refuses writes.
        SettingError: a setting of this host is not valid, or a module with tasks cannot be imported.
        TimeoutError: the server is still full after `max_wait`.
    """
    times = ScheduleOptions.of(cron, every, tz=tz, missed=missed, overlap=overlap)
    batch_options = BatchOptions.of(**options, from_batch=items.name if isinstance(items, Batch) else None)
    deadline = deadline_of(max_wait)
    fixed = fixed_arguments(set)
    with within(deadline):
        known_task = checked_task(task)
    source = source_of(items, not known_task.schema.open_parameters(fixed))
    keywords: dict[str, Any] = {"name": name, "fixed": fixed, "queue": queue, "options": batch_options}
    submission = new_submission(known_task, source, schedule=times, **keywords)
    submission.send_checked(deadline, log)
    return Schedule(name)


def open_schedule(name: str) -> Schedule:
    """The schedule called `name`.

    Raises:
        InputError: no schedule has this name.
        ServerError: the server cannot be reached.
    """
    schedule = Schedule(name)
    schedule.info()
    return schedule


def schedules() -> list[ScheduleInfo]:
    """All schedules on the server, oldest first.

    Raises:
        ServerError: the server cannot be reached.
    """
    with reaching():
        return _on_server().infos()


def _on_server() -> Schedules:
    return Schedules(client(), settings())
