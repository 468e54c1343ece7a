"""What is explored: in CI small scenarios to their end, by command three items with two faults on a path."""

from dataclasses import replace

from tests.model.world import Scenario

SCHEDULE_FAULTS = frozenset({"crash", "lost answer", "outage"})
ENDS_TWICE = ("cancel at last", "retry cancelled", "cancel at last")
WORKFLOW = ("retry workflow", "retry follower")
NOTIFY = {"notify": "https://hooks.example/"}
#: Three items: one succeeds, one at its second attempt, one fails twice. An operator does one thing, at any moment.
FULL = (
    Scenario("no operator", outcomes={1: "rs", 2: "rf"}),
    Scenario("a long item", outcomes={1: "rs", 2: "rf"}, gives=True, parts=False),
    Scenario("two blocks", outcomes={1: "rs", 2: "rf"}, blocks=(1, 2)),
    Scenario("an open batch", outcomes={1: "rs", 2: "rf"}, blocks=(1, 2), appends=True),
    Scenario("cancel", outcomes={1: "rs", 2: "rf"}, operator=("cancel",)),
    Scenario("cancel --kill", outcomes={1: "rs", 2: "rf"}, operator=("kill",)),
    Scenario("pause and resume", outcomes={1: "rs", 2: "rf"}, operator=("pause", "resume")),
    Scenario("retry", outcomes={1: "rs", 2: "rf"}, operator=("retry",)),
    Scenario("retry --cancelled", outcomes={1: "rs", 2: "rf"}, operator=("cancel", "retry cancelled")),
    Scenario("one item", outcomes={1: "rs", 2: "rf"}, operator=("cancel item", "retry item")),
    Scenario("halt", outcomes={1: "rs", 2: "rf"}, limits={"halt": "fail=1"}),
    Scenario("one at a time", outcomes={1: "rs", 2: "rf"}, limits={"max_running": "1"}),
    Scenario("one in three seconds", outcomes={1: "rs", 2: "rf"}, limits={"rate": "20/m"}),
    Scenario("one of each value", outcomes={1: "rs", 2: "rf"}, limits={"limit_by": "n", "max_running": "1"}),
    Scenario("one of the task", outcomes={1: "rs", 2: "rf"}, limits={"task_max_running": "1"}),
    Scenario(
        "one of each value in three seconds",
        outcomes={1: "rs", 2: "rf"},
        operator=("pause", "resume"),
        limits={"task_limit_by": "n", "task_rate": "20/m", "task_max_running": "1"},
    ),
    Scenario(
        "values told by workers",
        outcomes={1: "rs", 2: "rf"},
        untold=True,
        limits={"limit_by": "n", "max_running": "1"},
    ),
    Scenario("halt by successes", outcomes={1: "rs", 2: "rf"}, limits={"halt": "now,success=1"}),
    Scenario("purge", outcomes={1: "rs", 2: "rf"}, operator=("purge",)),
    Scenario("drain", outcomes={1: "rs", 2: "rf"}, operator=("drain",)),
    Scenario("submit anew", outcomes={1: "rs", 2: "rf"}, operator=("submit anew",)),
    Scenario("after", outcomes={1: "rs", 2: "rf"}, operator=("submit after", "retry")),
    Scenario("after:ended", outcomes={1: "rs", 2: "rf"}, operator=("submit after:ended", "cancel")),
    Scenario("from batch", outcomes={1: "rs", 2: "fs"}, operator=("submit from", "retry")),
    Scenario("after, again", outcomes={1: "rs", 2: "ffs"}, operator=("submit after", *WORKFLOW)),
    Scenario("from batch, again", outcomes={1: "rs", 2: "fs"}, operator=("submit from", *WORKFLOW)),
    Scenario("from batch, cancelled", outcomes={1: "rs", 2: "rf"}, operator=("submit from", "cancel")),
    Scenario("two submitters", outcomes={1: "rs"}, operator=("submit beside", "another submits beside"), workers=1),
    Scenario("two appends", items=2, outcomes={1: "rs", 3: "f"}, blocks=(1, 1), appends=True, producers=2),
    Scenario("schedule", items=0, schedule=("once", "skip"), moments=7, kinds=SCHEDULE_FAULTS),
    Scenario("schedule, none for missed times", items=0, schedule=("skip", "skip"), moments=7, kinds=SCHEDULE_FAULTS),
    Scenario("schedule, the next waits", items=0, schedule=("once", "wait"), moments=7, kinds=SCHEDULE_FAULTS),
    Scenario(
        "schedule, and a run by hand",
        items=0,
        schedule=("once", "skip"),
        operator=("run schedule",),
        moments=5,
        kinds=SCHEDULE_FAULTS,
    ),
    Scenario("notices", items=1, notice=True, operator=ENDS_TWICE, limits=NOTIFY),
    Scenario("messages", items=0, messages=3, outcomes={1: "d"}, operator=("requeue",)),
)
_BY_NAME = {scenario.name: scenario for scenario in FULL}


def _small(name: str, items: int, faults: tuple[str, ...], outcomes: dict[int, str]) -> Scenario:
    """A scenario with fewer items and at most one fault, of one of the kinds."""
    words = f"{name}, {items} items, {' or '.join(faults) or 'no fault'}"
    full = replace(_BY_NAME[name], name=words, items=items, outcomes=outcomes, blocks=())
    return replace(full, faults=min(1, len(faults)), kinds=frozenset(faults))


def _timed(name: str, moments: int, faults: tuple[str, ...]) -> Scenario:
    """A schedule of fewer times with at most one fault, of one of the kinds."""
    words = f"{name}, {moments} times, {' or '.join(faults) or 'no fault'}"
    return replace(_BY_NAME[name], name=words, moments=moments, faults=min(1, len(faults)), kinds=frozenset(faults))


#: Explored whole in CI. What these are too small for is left to the walks, and to the command.
SMALL = (
    replace(_BY_NAME["no operator"], name="no operator, 3 items, no fault", faults=0),
    _small("no operator", 1, ("crash", "lost answer", "stall"), {0: "rf"}),
    replace(_small("a long item", 3, ("crash",), {1: "rs"}), workers=1),
    _small("a long item", 3, (), {}),
    replace(_small("a long item", 3, ("lost answer",), {}), workers=1),
    _small("an open batch", 1, ("crash", "lost answer", "stall"), {}),
    replace(_small("an open batch", 2, ("lost answer",), {}), blocks=(1, 1)),
    _small("cancel", 1, ("crash", "lost answer", "stall"), {}),
    _small("cancel --kill", 1, ("stall",), {}),
    _small("pause and resume", 1, ("crash",), {}),
    _small("retry", 1, ("lost answer", "stall"), {0: "fs"}),
    _small("retry --cancelled", 1, ("stall",), {}),
    _small("one item", 1, ("stall",), {}),
    _small("halt", 2, (), {0: "rf"}),
    _small("one at a time", 2, (), {0: "rf"}),
    _small("one in three seconds", 2, (), {0: "rs"}),
    _small("one of each value", 2, (), {0: "rf"}),
    _small("one of the task", 2, (), {0: "rf"}),
    replace(_small("one of each value in three seconds", 1, ("crash",), {0: "rs"}), workers=1),
    _small("values told by workers", 2, ("lost answer",), {}),
    _small("values told by workers", 1, ("crash", "stall"), {0: "rs"}),
    _small("halt by successes", 2, (), {0: "rs"}),
    _small("purge", 1, ("crash", "lost answer"), {}),
    _small("drain", 1, ("stall",), {}),
    _small("submit anew", 1, ("stall",), {}),
    _small("after", 1, (), {0: "fs"}),
    _small("after:ended", 1, ("lost answer",), {}),
    replace(_small("from batch", 1, ("lost answer",), {0: "fs"}), workers=1),
    replace(_small("from batch, cancelled", 1, (), {}), workers=1),
    replace(_small("after, again", 1, ("lost answer",), {0: "ffs"}), workers=1),
    replace(_small("from batch, again", 1, ("lost answer",), {0: "fs"}), workers=1),
    _small("two submitters", 1, (), {}),
    replace(_small("two appends", 1, ("crash",), {}), workers=1),
    replace(_timed("schedule", 5, ("outage",)), workers=1),
    _timed("schedule", 2, ("crash", "lost answer")),
    replace(_timed("schedule, none for missed times", 4, ("outage",)), workers=1),
    _timed("schedule, the next waits", 3, ("lost answer",)),
    _timed("schedule, and a run by hand", 2, ()),
    replace(_BY_NAME["notices"], name="notices, one fault", faults=1),
    replace(_BY_NAME["messages"], name="2 messages, one fault", messages=2, faults=1),
)
