"""Finds batches whose parts disagree, as half of a script's writes leaves them, and mends them.

An item that has an outcome keeps it; an item without one runs again. Each step is one Lua script that compares again
what it mends, so that batches may be examined and mended while workers run them.
"""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any, cast

from gristmill.batches.scripts import BatchScripts
from gristmill.batches.untold import ranges, untold
from gristmill.config.names import KINDS, unglobbed
from gristmill.server.replies import by_name
from gristmill.server.waiting import Deadline

#: What can disagree, and what mending does about it; {} is the number of items or entries.
WORDS = {
    "mark_without_outcome": "{} items are marked as done and have no outcome: they run again",
    "outcome_without_mark": "{} items have an outcome and are not marked as done: the outcome stands",
    "wrong_mark": "{} items have an outcome and are marked as another one: the outcome stands",
    "half_cancelled": "{} items are cancelled in part only: they are cancelled",
    "two_outcomes": "{} items have two outcomes: one stands",
    "source_not_taken": "the end of its source was not told: it takes what is left, and its input ends",
    "items_not_counted": "{} items are stored and not counted: they count",
    "half_cancelled_input": "the input is cut off, and nobody cancelled the batch: the input goes on",
    "wrong_counters": "{} counters differ from the items: they are counted again",
    "finished_too_early": "the batch is marked as finished and has open items: it goes on",
    "cancel_not_ended": "the batch has ended and is marked as being cancelled: the mark goes",
    "not_told": "its receiver was not told that the batch has ended, or is stuck: the notice is sent",
    "finished_not_marked": "every item has an outcome, and the batch is not marked as finished: it is finished",
    "chunks_of_no_items": "{} chunks have items that the batch does not have: they are dropped",
    "notes_without_chunk": "{} notes belong to no chunk: they are dropped",
    "wrong_cursor": "the cursor is before a chunk that is handed out: it moves on",
    "waiting_with_outcome": "{} items wait for another attempt and have an outcome: the outcome stands",
    "waiting_not_marked": "items of a retry are not marked: they are handed out",
    "in_no_place": "{} open items are in no place from which they are handed out: they run again",
    "wrong_counts": "{} counts of what runs of a value differ from the chunks: they are counted again",
    "wrong_links": "{} links to batches that it follows are missing or wrong: they are made again",
    "wrong_sets": "the batch is missing in {} sets of batches, or is in them wrongly: that is put right",
    "events_missing": "{} outcomes were told to no reader that follows: they are told",
    "left_over": "{} keys are left of a deleted batch: they are deleted",
}
#: Ranges of one event that mending adds.
_RANGES = 500

Findings = dict[str, int]


def sentence(findings: Findings) -> str:
    """What disagreed, as text for people."""
    return "; ".join(WORDS[what].format(f"{number:,}") for what, number in findings.items())


class Repair(BatchScripts):
    """Examines and mends the batches on one server."""

    def names(self) -> list[str]:
        """The names of all batches, and of what is left of a deleted one, oldest first."""
        listed = cast(list[str], self.client.zrange(self.settings.key("batches"), 0, -1))
        prefix, suffix = self.settings.key("batch:"), ":state"
        states = self.client.scan_iter(f"{unglobbed(prefix)}*{suffix}", count=1000)
        strays = {name[len(prefix) : -len(suffix)] for name in states}
        return [*listed, *sorted(strays - set(listed))]

    def active(self) -> list[str]:
        """The names of the batches that have not finished, oldest first."""
        return cast(list[str], self.client.zrange(self.settings.key("active"), 0, -1))

    def examine(self, batch: str) -> Findings:
        """What disagrees in the batch, by the names in WORDS; empty when all is well."""
        *_, findings = self.steps(batch, mend=False)
        return findings

    def mend(self, batch: str) -> Findings:
        """Make the parts of the batch agree; answer what disagreed.

        Raises:
            RedisError: the server cannot be reached, or refuses. Mending again goes on.
        """
        *_, findings = self.steps(batch, mend=True)
        return findings

    def steps(self, batch: str, *, mend: bool) -> Iterator[Findings]:
        """The same in steps of some milliseconds; each yields what disagreed so far, the last one all of it."""
        state = cast(dict[str, str], self.client.hgetall(self._key(batch, "state")))
        findings: Findings = {}
        if "task" not in state:
            if number := self._left_over(batch, mend=mend):
                findings["left_over"] = number
            yield findings
            return
        bucket, failures, deaths = 0, 0, 0
        while bucket >= 0:
            bucket, flat, some, dead = self._call("repair_items", batch=batch, bucket=bucket, mend=mend)
            failures, deaths = failures + int(some), deaths + int(dead)
            _add(findings, flat)
            yield findings
        # Before the batch may end: who takes its values takes no more then.
        if number := self._tell(batch, mend=mend):
            findings["events_missing"] = number
        more = True
        while more:
            report = self._call("repair_batch", batch=batch, failures=failures, deaths=deaths, mend=mend)
            more = bool(_add(findings, report).pop("more", 0)) and mend
            yield findings
        yield findings

    def queue_names(self) -> set[str]:
        """The queues that have, or had, workers, and those of batches that have not ended."""
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hkeys(self.settings.key("slots"))
            for batch in self.active():
                pipe.hget(self._key(batch, "state"), "queue")
            served, *of_batches = cast(tuple[list[str], *tuple[str | None, ...]], pipe.execute())
        return {*KINDS, *served, *(queue for queue in of_batches if queue)}

    def queues(self, names: Iterable[str], *, mend: bool) -> Findings:
        """The queues whose counts differ from their batches and workers, with the number of counts."""
        wrong = {name: int(self._call("repair_queue", queue=name, mend=mend)) for name in names}
        return {name: number for name, number in wrong.items() if number}

    def limits(self, *, mend: bool) -> int:
        """How many counts of what runs of tasks with limits differ from their batches."""
        tasks = self.client.smembers(self.settings.key("limited_tasks"))
        return int(self._call("repair_limits", mend=mend, tasks=sorted(tasks)))

    def _key(self, batch: str, part: str) -> str:
        return self.settings.key(f"batch:{batch}:{part}")

    def _left_over(self, batch: str, *, mend: bool) -> int:
        """The number of keys of a batch without a state."""
        names = list(self.client.scan_iter(f"{unglobbed(self._key(batch, ''))}*", count=1000))
        for start in range(0, len(names) if mend else 0, 1000):
            self.client.unlink(*names[start : start + 1000])
        if mend and names:
            for part in ("batches", "active", "expiring", "due"):
                self.client.zrem(self.settings.key(part), batch)
        return len(names)

    def _tell(self, batch: str, *, mend: bool) -> int:
        """The number of outcomes of which no event tells."""
        items = untold(self.client, self._key(batch, ""))
        spans = list(ranges(items))
        for start in range(0, len(spans) if mend else 0, _RANGES):
            self._call("repair_events", batch=batch, ranges=spans[start : start + _RANGES])
        return len(items)


def _add(findings: Findings, flat: Any) -> Findings:
    for what, number in by_name(flat).items():
        findings[what] = findings.get(what, 0) + int(number)
    return findings


def within(seconds: float, names: Iterable[str]) -> Iterator[str]:
    """As many of the names as `seconds` allow."""
    deadline = Deadline(seconds)
    return takewhile(lambda _: not deadline.over, names)
