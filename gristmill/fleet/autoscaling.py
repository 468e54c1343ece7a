"""How many slots a queue gets next, from its plans and from what was decided before; to zero when it is idle."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

from gristmill.batches.info import BatchInfo, State
from gristmill.config.figures import count, item_count
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.scaling import Plan, is_settled

#: The queue grows when it would take so much of its time too long, and shrinks when fewer slots would leave so much of
#: it over: in between it stays as it is. Each turn from one to the other makes that wider.
LATE, EARLY = 0.05, 0.06
#: Seconds for which fewer slots have to be enough before a queue shrinks; or this share of the target, if that is less.
LOW_SECONDS, LOW_SHARE = 15.0, 0.1
#: Seconds after a change before what was measured is believed, beside what the plan says.
CALM_SECONDS = 5.0
#: The least share of the target in which the rest of a late batch is to be done. In so short a rest,
#: only slots go for which there is no item.
LEAST_SHARE = 0.2
#: States of batches that have items to run.
_RUNS = (State.OPEN, State.SUBMITTING, State.ABANDONED, State.RUNNING)


#: Makes the plan of a queue for a target in seconds, of which new slots were ordered some seconds ago: 0 for none.
Plans = Callable[[QueueNow, float, float], Plan]


@dataclass(frozen=True, slots=True)
class Bounds:
    """From `least` to `most` slots, which come and go `step` at a time, as those of a whole container do.

    At least one step fits, however small `most` is.
    """

    least: int
    most: int
    step: int = 1

    def fit(self, slots: int) -> int:
        """The number of slots within the bounds that is no less than `slots`, if there is one."""
        steps = -(-max(slots, self.least) // self.step)
        return min(steps, max(self.most // self.step, 1 if self.most else 0)) * self.step


@dataclass(frozen=True, slots=True)
class Aim:
    """Each batch may take `target` seconds; slots for which there has been no item for `idle` seconds go."""

    target: float
    idle: float


@dataclass(frozen=True, slots=True)
class Past:
    """What is kept of a queue between two looks; moments are in the server's Unix time.

    `slots` were decided `changed_at`. `direction` is 1 or -1 as the last change made it more or less, and `turns`
    counts the changes of that since there are items. Since `idle_since` no item is left; since `low_since` `low` slots
    were enough. Slots come and go `step` at a time. While `coming`, those of the last change are not all there;
    the last that came took `start` seconds for that; None: none have.
    """

    slots: int = 0
    changed_at: float = 0.0
    direction: int = 0
    turns: int = 0
    idle_since: float | None = None
    low_since: float | None = None
    low: int = 0
    step: int = 0
    coming: bool = False
    start: float | None = None
    reason: str = ""

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """The fields that `asdict` gave; those of another version are left out."""
        names = cls.__dataclass_fields__
        return cls(**{name: value for name, value in fields.items() if name in names})


def time_for(queue: QueueNow, batches: Iterable[BatchInfo], at: float, target: float) -> float:
    """Seconds in which all items left of a queue are to be done, so that each of its batches takes `target` in all.

    Batches run in the order in which they were made. What a batch has of its time counts for it and those before it.
    """
    mine = [batch for batch in batches if batch.queue == queue.name and batch.left and batch.state in _RUNS]
    mine.sort(key=lambda batch: batch.created)
    total, before, seconds = sum(batch.left for batch in mine), 0, target
    for batch in mine:
        before += batch.left
        # An open batch may be old, and its items new.
        age = min(at - batch.created, queue.oldest)
        rest = min(max(target - age, LEAST_SHARE * target), target)
        seconds = min(seconds, rest * total / before)
    return seconds


def decide(queue: QueueNow, plans: Plans, past: Past, at: float, bounds: Bounds, seconds: float, aim: Aim) -> Past:
    """What to do about a queue at `at`: the slots that it should have, and why.

    All of its items are to be done within `seconds`, see `time_for`. A queue grows by what it needs at least, as far as
    anybody knows yet, and shrinks by what it needs at most.
    """
    is_idle = not queue.left and not queue.busy
    if not is_idle:
        past = replace(past, idle_since=None)
    if not past.slots and not is_idle:
        # Those elsewhere may be enough.
        slots = plans(queue, seconds, 0.0).slots
        return _change(past, bounds.fit(slots), at, f"{item_count(queue.left, 'are')} left and there is no slot")
    if past.slots != bounds.fit(past.slots):
        return _change(past, bounds.fit(past.slots), at, f"it is to have {bounds.least:,} to {bounds.most:,}")
    if is_idle:
        return _decide_idle(past, at, bounds, aim.idle)
    is_calm, wide = at - past.changed_at >= CALM_SECONDS and is_settled(queue), 1 + past.turns
    if queue.over_limit and not is_calm:
        # Few slots work then, whatever there is to do.
        return replace(past, low_since=None)
    ordered = at - past.changed_at if past.coming else 0.0
    least = _longer(queue if is_calm else _as_if_busy(queue), 1 / (1 + queue.doubt))
    if bounds.fit(plans(least, (1 + LATE * wide) * seconds, ordered).slots) > past.slots:
        goal = plans(least, seconds, ordered)
        return _change(past, bounds.fit(goal.slots), at, goal.reason)
    if (enough := bounds.fit(max(queue.left, queue.busy))) < past.slots:
        # To end the others is no change of mind, whatever comes next.
        less = _decide_less(past, at, enough, f"{item_count(queue.left, 'are')} left", aim.idle)
        return replace(less, direction=0, turns=past.turns)
    if not is_calm or seconds <= LEAST_SHARE * aim.target:
        return replace(past, low_since=None)
    early = plans(_longer(queue, 1 + queue.doubt), max(1 - EARLY * wide, 0.5) * seconds, 0.0)
    return _decide_less(past, at, bounds.fit(early.slots), early.reason, min(LOW_SECONDS, LOW_SHARE * aim.target))


def _longer(queue: QueueNow, times: float) -> QueueNow:
    """A queue whose items take so many times as long."""
    work = queue.work or queue.left * queue.seconds
    return replace(queue, work=times * work, longest=times * queue.longest)


def _as_if_busy(queue: QueueNow) -> QueueNow:
    """A queue whose slots all work: those that have just come soon will. Its items may be as long as each other."""
    return replace(queue, used=1.0, speed=max(1.0, queue.speed), longest=0.0)


def _decide_idle(past: Past, at: float, bounds: Bounds, idle: float) -> Past:
    since = at if past.idle_since is None else past.idle_since
    past = replace(past, idle_since=since, low_since=None, direction=0, turns=0)
    if at - since < idle:
        return past
    return _change(past, bounds.fit(0), at, f"no item has been left for {at - since:.0f} s")


def _decide_less(past: Past, at: float, slots: int, why: str, low_seconds: float) -> Past:
    """Shrink once fewer slots have been enough for a while, to the most of what was wanted meanwhile."""
    if slots >= past.slots:
        return replace(past, low_since=None)
    since, low = (at, slots) if past.low_since is None else (past.low_since, max(past.low, slots))
    past = replace(past, low_since=since, low=low)
    if at - since < low_seconds:
        return past
    return _change(past, low, at, f"{count(low, 'slot')} {'is' if low == 1 else 'are'} enough: {why}")


def _change(past: Past, slots: int, at: float, reason: str) -> Past:
    if slots == past.slots:
        return replace(past, low_since=None)
    direction = 1 if slots > past.slots else -1
    turns = past.turns + (past.direction == -direction)
    past = replace(past, slots=slots, changed_at=at, direction=direction, turns=turns, low_since=None, reason=reason)
    return replace(past, coming=direction == 1)
