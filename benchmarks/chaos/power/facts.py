"""What the server has answered, and whether it still knows that."""

import threading
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.wire import Ours
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader


@dataclass(slots=True)
class BatchFacts:
    """What was answered of a batch. `lock` is held in a call whose answer changes what is expected of an item."""

    name: str
    total: int
    created: bool = False
    stored: int = 0
    ended: bool = False
    #: The answer of the last pause or resume; None when that call had no answer.
    paused: bool | None = False
    cancelled: bool = False
    #: Somebody has asked to delete it.
    deleting: bool = False
    #: State and attempt of each item that has an outcome.
    outcomes: dict[int, tuple[str, int]] = field(default_factory=dict)
    #: The attempt whose outcome an answered retry has made void.
    void: dict[int, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lost(self, ledger: Ledger) -> int:
        """The number of answers that the server has forgotten; expects of it what it knows from now on."""
        fields = ledger.state(self.name)
        if "task" not in fields:
            number = 0 if self.deleting or not self.created else 1 + self.stored + len(self.outcomes)
            self.created, self.stored, self.ended, self.outcomes, self.void = False, 0, False, {}, {}
            self.paused, self.cancelled = None, False
            return number
        stored = int(fields["stored"])
        number = max(0, self.stored - stored) + self._lost_items(ledger) + self._lost_outcomes(ledger, stored)
        number += self._lost_controls(fields)
        self.stored = min(self.stored, stored)
        return number

    def _lost_items(self, ledger: Ledger) -> int:
        items = dict(ledger.items(self.name))
        return sum(items.get(index) != str(index) for index in range(min(self.stored, len(items))))

    def _lost_outcomes(self, ledger: Ledger, stored: int) -> int:
        results = ResultReader(ledger.client, ledger.settings, self.name).in_order(0, stored)
        now = {result.index: (str(result.state), result.attempts) for result in results}
        lost = [index for index, outcome in self.outcomes.items() if now.get(index) != outcome]
        back = [i for i, attempt in self.void.items() if i in now and _is_bad(now[i][0]) and now[i][1] <= attempt]
        for index in lost:
            del self.outcomes[index]
        for index in back:
            del self.void[index]
        return len(lost) + len(back)

    def _lost_controls(self, fields: dict[str, str]) -> int:
        over = "finished" in fields or "cancelling" in fields
        lost_pause = self.paused is not None and not over and self.paused != ("paused" in fields)
        lost_cancel = self.cancelled and not over
        lost_end = self.ended and "input_ended" not in fields
        if lost_pause:
            self.paused = None
        self.cancelled, self.ended = self.cancelled and not lost_cancel, self.ended and not lost_end
        return lost_pause + lost_cancel + lost_end


def _is_bad(state: str) -> bool:
    return state in ("failed", "dead")


@dataclass(slots=True)
class Facts:
    """All that was answered in a run."""

    batches: dict[str, BatchFacts] = field(default_factory=dict)
    #: Plain messages that were put, and those of them that somebody has begun to acknowledge.
    messages: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    answers: int = 0

    def lost(self, ledger: Ledger, wire: Ours) -> int:
        """The number of answers that the server has forgotten."""
        number = sum(batch.lost(ledger) for batch in list(self.batches.values()))
        missing = self.messages - self.done - wire.standing()
        self.messages -= missing
        return number + len(missing)


def message_of(number: int) -> str:
    """A plain message by its number, as Celery sends it."""
    head: dict[str, Any] = {"content-type": "application/json", "content-encoding": "utf-8"}
    head["properties"] = {"delivery_tag": str(number), "delivery_info": {"exchange": "", "routing_key": "plain"}}
    return f'{{"body": "[[], {{}}, {{}}]", "headers": {{"task": "t", "id": "{number}"}}, {str(head)[1:-1]}}}'.replace(
        "'", '"'
    )
