"""Schedules on the server: from each, a batch is made at each of its times."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple
from uuid import uuid4

from redis import Redis

from gristmill.batches.feed import AlreadyFeeding
from gristmill.batches.scripts import BatchScripts
from gristmill.batches.timetable import Timetable, run_name
from gristmill.config.figures import moment
from gristmill.config.settings import Settings
from gristmill.errors import InputError, ServerError
from gristmill.server.actor import actor
from gristmill.server.confirm import confirmed
from gristmill.server.replies import by_name, by_turns
from gristmill.server.scripts import server_time

#: Characters of a schedule's name, at most: the names of its batches have 16 more.
NAME_MOST = 48
#: What becomes of the times that nobody looked at, and of one at which the run before still runs.
MISSED, OVERLAP = ("once", "skip"), ("skip", "wait")


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """A schedule: `timetable` is a cron expression, or `every` and its seconds. Times are Unix times in seconds.

    `next` is None for a schedule that is paused, or has no time to come. `last_due` is its last time that has passed
    and was looked at, whatever became of it, or None. `last_batch` is the batch that was made last,
    `runs` their number, and `left_out` the number of times at which none was made; `reason` says why at the last of
    them: `missed`, `overlap` (the run before still ran) or `exists` (there was a batch of that name), else None.
    """

    name: str
    timetable: str
    timezone: str
    missed: str
    overlap: str
    task: str
    items: int
    paused: bool
    next: float | None
    last_due: float | None
    last_batch: str | None
    runs: int
    left_out: int
    reason: str | None
    submitted_by: str
    created: float

    @classmethod
    def from_fields(cls, name: str, state: Mapping[str, str]) -> "ScheduleInfo":
        """Build the info from the fields of the schedule's `state` on the server."""
        paused = "paused" in state
        due = None if paused or "next" not in state else int(state["next"]) / 1000
        return cls(
            name=name,
            timetable=state["timetable"],
            timezone=state["timezone"],
            missed=state["missed"],
            overlap=state["overlap"],
            task=state["task"],
            items=int(state["stored"]),
            paused=paused,
            next=due,
            last_due=int(state["last_due"]) / 1000 if "last_due" in state else None,
            last_batch=state.get("last_batch"),
            runs=int(state.get("runs", 0)),
            left_out=int(state.get("left_out", 0)),
            reason=state.get("reason"),
            submitted_by=state["submitted_by"],
            created=int(state["created"]) / 1000,
        )

    def as_dict(self) -> dict[str, Any]:
        """The documented fields, as `schedule list --json` prints them."""
        moments = {"next": self.next, "last_due": self.last_due, "created": self.created}
        times = {name: seconds and moment(seconds) for name, seconds in moments.items()}
        return {one.name: times.get(one.name, getattr(self, one.name)) for one in fields(self)}


class Due(NamedTuple):
    """A schedule that is due at `due` (ms)."""

    name: str
    id: str
    due: int
    timetable: Timetable


class Schedules(BatchScripts):
    """The schedules on one server."""

    def now(self) -> int:
        """The server's time, in ms."""
        return round(1000 * server_time(self.client, self.settings.prefix))

    def look(self) -> tuple[int, int, list[Due]]:
        """The server's time in ms, the number of live workers, and some of the schedules that are due.

        Call it all the time: what comes due while nobody has called it for ten seconds counts as missed.
        """
        now, workers, flat = self._confirmed("look_at_schedules")
        due = [
            Due(name, id_, int(due), Timetable.of_text(*times)) for name, (id_, due, *times) in by_name(flat).items()
        ]
        return int(now), int(workers), due

    def fire(self, due: Due, now: int) -> str:
        """Make the batch of a schedule that is due; `now` is the server's time in ms. fire.lua says what it answers."""
        after_due, after_now = (due.timetable.next_after(after) for after in (due.due, max(now, due.due)))
        return str(
            self._confirmed(
                "fire",
                schedule=due.name,
                id=due.id,
                due=due.due,
                run=run_name(due.name, due.due),
                after_due=-1 if after_due is None else after_due,
                after_now=-1 if after_now is None else after_now,
            )
        )

    def infos(self) -> list[ScheduleInfo]:
        """All schedules, oldest first."""
        flat = self._confirmed("list_schedules")
        states = {name: by_name(state) for name, state in by_name(flat).items()}
        return [ScheduleInfo.from_fields(name, state) for name, state in states.items() if "id" in state]

    def info(self, name: str) -> ScheduleInfo:
        """The schedule of that name.

        Raises:
            InputError: there is none.
        """
        return ScheduleInfo.from_fields(name, self.state(name))

    def state(self, name: str) -> dict[str, str]:
        """All fields of a schedule's state; raises as `info`."""
        state: Any = self.client.hgetall(self.settings.key(f"schedule:{name}:state"))
        if "id" not in state:
            raise _missing(name)
        return dict(state)

    def run(self, name: str) -> str:
        """Make a batch of the schedule now, whatever its times, and return the batch's name.

        Raises:
            InputError: there is no such schedule, or somebody else's batch has the name.
        """
        run = run_name(name, self.now())
        answer = self._confirmed("run_schedule", schedule=name, token=uuid4().hex, run=run, actor=actor())
        if answer == "lost":
            raise _missing(name)
        if answer == "exists":
            raise InputError(f"a batch is called {run!r} already: try again")
        return run

    def pause(self, name: str) -> bool:
        """Make no batches of the schedule until it is resumed; False if it was paused. Raises as `info`."""
        return self._pause(name, True, -1)

    def resume(self, name: str) -> bool:
        """Go on with the schedule, from its next time on; False if it was not paused. Raises as `info`."""
        state = self.state(name)
        timetable = Timetable.of_text(state["timetable"], state["timezone"], state["start"])
        following = timetable.next_after(self.now())
        return self._pause(name, False, -1 if following is None else following)

    def _pause(self, name: str, paused: bool, following: int) -> bool:
        to_do = {"token": uuid4().hex, "paused": paused, "following": following, "actor": actor()}
        answer = int(self._confirmed("pause_schedule", schedule=name, **to_do))
        if answer < 0:
            raise _missing(name)
        return bool(answer)

    def delete(self, name: str) -> None:
        """Delete the schedule; its batches stay. Raises as `info`."""
        if not self._confirmed("delete_schedule", schedule=name, actor=actor()):
            raise _missing(name)


def _missing(name: str) -> InputError:
    return InputError(f"no schedule is called {name!r}: `gristmill schedule list` lists them")


_DROPPED = "the server dropped the items, because nobody sent one for ten minutes: try again"


@dataclass
class _DraftSize:
    items: int = 0
    bytes: int = 0
    sha: str = ""


class Draft(BatchScripts):
    """A schedule that is being made: stores the blocks of its items, as a feeder asks for it, and then its times.

    `definition` has what plan.lua stores, and `due` is its first time; `answer` is what plan.lua answered.
    """

    def __init__(self, client: Redis, settings: Settings, definition: dict[str, Any], due: int) -> None:
        super().__init__(client, settings)
        self.definition, self.due = definition, due
        self.answer = ""
        self.size = _DraftSize()

    def items(self, schedule: str) -> Iterator[tuple[int, str]]:  # noqa: ARG002
        """Nothing: each command begins a draft of its own."""
        yield from ()

    def append(self, schedule: str, token: str, first: int, items: Sequence[str], sha: str, values: str = "") -> None:  # noqa: ARG002
        """Store the items from index `first` on.

        Raises:
            AlreadyFeeding: the server lacks the items before them.
        """
        text, size = "\n".join(items), self.size
        after = first + len(items)
        answer = self._confirmed("draft", token=token, after=after, first=first, sha=sha, items=text, values=values)
        if answer == "lost":
            raise AlreadyFeeding(_DROPPED)
        if size.items == first:
            size.items, size.bytes, size.sha = after, size.bytes + len(text), sha

    def has_block(self, schedule: str, token: str, after: int, sha: str) -> bool:  # noqa: ARG002
        """Whether the items before index `after` are stored."""
        name = self.settings.key(f"draft:{token}")
        last: Any = confirmed(self.client, self.settings, lambda one: one.xrevrange(name, count=1))
        return [(identity, fields["sha"]) for identity, fields in last] == [(f"{after}-0", sha)]

    def producer_heartbeat(self, schedule: str, token: str) -> None:  # noqa: ARG002
        """Keep what is stored."""
        self._confirmed("draft", token=token, after=0, first=0, sha="", items="", values="")

    def let_go(self, schedule: str, token: str) -> None:
        """Nothing: the server drops what is stored after ten minutes."""

    def end(self, schedule: str, token: str, rejected: int) -> None:
        """Make the schedule.

        Raises:
            InputError: a schedule of that name has other items or times.
        """
        size = self.size
        stored = {"stored": size.items, "bytes": size.bytes, "sha": size.sha, "rejected": rejected}
        about = {"token": token, "due": self.due, "actor": actor(), "definition": by_turns(self.definition | stored)}
        self.answer = self._confirmed("plan", schedule=schedule, **about)
        if self.answer == "lost":
            raise ServerError(_DROPPED)
        if self.answer == "other":
            raise InputError(
                f"a schedule is called {schedule!r} already, with other items, times or options: "
                f"`gristmill schedule delete {schedule}` first, or choose another --name"
            )


def definition(timetable: Timetable, missed: str, overlap: str, batch: dict[str, Any]) -> dict[str, Any]:
    """What a schedule's state has of its times, and of the batches that are made of it: `batch` is their state."""
    fields = {name: str(value) for name, value in batch.items() if value is not None}
    return {
        "timetable": timetable.text,
        "timezone": timetable.timezone,
        "start": timetable.start,
        "missed": missed,
        "overlap": overlap,
        "fields": json.dumps(by_turns(fields)),
        **{name: batch[name] for name in ("task", "fixed", "submitted_by")},
    }
