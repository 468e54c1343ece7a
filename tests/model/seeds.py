"""Faults, each made by changing the text of the shipped scripts, and the scenario that shows each first."""

from dataclasses import dataclass

from tests.model.scenarios import WORKFLOW
from tests.model.world import Scenario


@dataclass(frozen=True, slots=True)
class Seed:
    """A guard taken out of the scripts: `shipped` becomes `broken` wherever it stands.

    The shortest `path` leads to a state with the `problem` (its first words).
    """

    name: str
    shipped: str
    broken: str
    scenario: Scenario
    problem: str
    path: tuple[str, ...]

    def edit(self, text: str) -> str:
        return text.replace(self.shipped, self.broken)


#: The steps until the first outcomes are recorded.
RECORDED = (
    "producer: create",
    "producer: append",
    "producer: end",
    "x: fetch",
    "x: take",
    "x: record and go on",
)

SEEDS = (
    # A batch is deleted, and submitted anew with other items. What still ran of the first one is recorded as an
    # outcome of the second one's item.
    Seed(
        "epoch fence",
        "if b.epoch ~= epoch then",
        "if false then",
        Scenario("epoch fence", items=1, operator=("submit anew",), faults=0),
        "more outcomes than items",
        (
            "producer: create",
            "producer: append",
            "x: fetch",
            "x: take",
            "operator: submit anew",
            "producer: create",
            "x: record and go on",
        ),
    ),
    # A worker stands still while it runs an item. Another one gets the message, and the item fails. An operator has it
    # run again. Then the first worker wakes, and its outcome of the first attempt ends the item once more.
    Seed(
        "attempt fence",
        "if single.attempt ~= all + 1 then",
        "if false then",
        Scenario(
            "attempt fence", items=1, outcomes={0: "fs"}, operator=("retry",), faults=1, kinds=frozenset({"stall"})
        ),
        "2 events tell of attempt 1 of item 0",
        (
            "producer: create",
            "producer: append",
            "x: fetch",
            "x: take",
            "time passes, x stands still",
            "y: scan",
            "y: fetch",
            "y: take",
            "x: record and go on",
            "operator: retry",
            "y: record and go on",
        ),
    ),
    # A worker stands still after its task, and another one gets the message. Then the first one wakes, and its
    # acknowledgement removes the message that the other one holds.
    Seed(
        "owner check",
        "if owned(key, id, owner) then",
        "if true then",
        Scenario("owner check", items=0, messages=1, faults=1, kinds=frozenset({"stall"})),
        "the message of y does not stand",
        (
            "producer: put",
            "x: fetch",
            "x: run",
            "time passes, x stands still",
            "y: scan",
            "y: fetch",
            "x: ack",
        ),
    ),
    # Dead letters are requeued. The server fails in the middle of the script: a dead letter that was removed before it
    # was put is nowhere.
    Seed(
        "order of add and remove",
        """  if requeue then redis.call('XADD',""",
        """  redis.call('XDEL', DEAD, letter[1])
  if requeue then redis.call('XADD',""",
        Scenario(
            "order", items=0, messages=1, outcomes={0: "d"}, operator=("requeue",), faults=1, kinds=frozenset({"torn"})
        ),
        "message m0 was lost",
        (
            "producer: put",
            "x: fetch",
            "x: bury",
            "operator: requeue, torn after 1 writes",
        ),
    ),
    # A batch is cancelled while an item runs: nobody ever counts the others as cancelled.
    Seed(
        "settling",
        "function settle(batch, now, killable)\n",
        "function settle(batch, now, killable)\n  do return {} end\n",
        Scenario("settling", items=1, operator=("cancel",), faults=0),
        "no way leads to the end",
        (
            "producer: create",
            "operator: cancel",
        ),
    ),
    # A batch has taken all values of another one. That one is retried, and nobody learns what the first one lacks.
    Seed(
        "superseded",
        "and not b.input_cut then supersede(entries[i], b, batch) end",
        "and false then return end",
        Scenario("superseded", items=1, outcomes={0: "fs"}, operator=("submit from", "retry"), faults=0, workers=1),
        "the batch of values has taken an end of its source, which goes on",
        (
            *RECORDED,
            "operator: submit from",
            "operator: retry",
        ),
    ),
    # A batch of values goes on with its source, and takes no more of it.
    Seed(
        "catching up",
        "redis.call('HDEL', key(batch, 'state'), 'input_ended', 'input_ended_by')",
        "",
        Scenario("catching up", items=1, outcomes={0: "fs"}, operator=("submit from", *WORKFLOW), faults=0, workers=1),
        "the batch of values has taken an end of its source, which goes on",
        (
            *RECORDED,
            "operator: submit from",
            "operator: retry workflow",
            "operator: retry follower",
        ),
    ),
    # A batch fails once more before the one behind it is retried, which begins all the same.
    Seed(
        "once more",
        "if a.finished and failure_of(condition[1], a, condition[2]) then return false end",
        "",
        Scenario("once more", items=1, outcomes={0: "ff"}, operator=("submit after", *WORKFLOW), faults=0, workers=1),
        "the second batch has begun, though the first one failed",
        (
            *RECORDED,
            "operator: submit after",
            "operator: retry workflow",
            "x: fetch and ack",
            "x: take",
            "x: record and go on",
            "operator: retry follower",
        ),
    ),
    # Two producers append to one batch, and the second one goes on where the first one is.
    Seed(
        "place of an append",
        "key(batch, 'appends'), token",
        "key(batch, 'appends'), ''",
        Scenario("place of an append", items=1, appends=True, producers=2, faults=0, workers=1),
        "all is submitted, and 1 items are stored",
        (
            "producer: create",
            "producer: append",
            "producer: end",
            "producer 2: create",
            "producer 2: close",
        ),
    ),
    # Somebody's batch waits in line, and never has a turn.
    Seed(
        "turns",
        "redis.call('ZADD', turns_of(b.queue), 'NX', b.priority * LEVEL_TURNS + next_turn, b.priority .. ':' .. submitter)",  # noqa: E501
        "",
        Scenario("turns", items=1, operator=("submit beside", "another submits beside"), faults=0, workers=1),
        "['0:you'] are in line, and [] have turns",
        (
            "producer: create",
            "producer: append",
            "operator: submit beside",
            "operator: another submits beside",
        ),
    ),
    # Two workers see the same time of a schedule, and each makes a batch of it.
    Seed(
        "a time once",
        "tonumber(s.next) ~= due or ",
        "",
        Scenario("a time once", items=0, schedule=("once", "skip"), faults=0, moments=2),
        "1 of 1 times have a batch, and 2 a batch or a reason to have none",
        (
            "producer: plan",
            "time passes",
            "x: look",
            "y: look",
            "x: fire",
            "y: fire",
        ),
    ),
    # After an outage, each time that was missed has a batch.
    Seed(
        "one for an outage",
        "local following = missed and after_now or after_due",
        "local following = after_due",
        Scenario(
            "one for an outage",
            items=0,
            schedule=("once", "skip"),
            faults=1,
            moments=4,
            kinds=frozenset({"outage"}),
            workers=1,
        ),
        "1 of 1 times have a batch, and 2 a batch",
        (
            "producer: plan",
            "nobody looks for long",
            "x: look",
            "x: fire",
            "x: look",
            "x: fire",
        ),
    ),
    # A worker claims a notice and dies: nobody sends it.
    Seed(
        "claims end",
        "redis.call('ZADD', GM .. 'notices', now + lease, id)",
        "redis.call('ZREM', GM .. 'notices', id)",
        Scenario(
            "claims end",
            items=1,
            notice=True,
            operator=("cancel at last",),
            limits={"notify": "https://hooks.example/"},
            faults=1,
            kinds=frozenset({"crash"}),
            workers=1,
        ),
        "1 notices are written, and 0 wait for somebody to send them",
        (
            "producer: create",
            "producer: append",
            "producer: end",
            "operator: cancel at last",
            "x: claim",
        ),
    ),
)
