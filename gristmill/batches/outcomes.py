"""Outcomes in the form that the ledger stores: one field for a run of neighbours that succeeded, one for each other."""

from collections.abc import Iterable
from typing import Any

from gristmill.batches.chunk import Outcome

#: Indexes in one hash of outcomes; ledger.lua has the same number.
BUCKET = 500
#: About the size of a run's texts in bytes: who reads one outcome of a run reads them all.
RUN_BYTES = 32 << 10


def flattened(outcomes: Iterable[Outcome]) -> list[Any]:
    """The outcomes, by index, as arguments of record.lua: the number of runs, the runs, the other outcomes."""
    runs: list[Any] = []
    others: list[Any] = []
    texts: list[str] = []
    first = after = size = 0
    for outcome in outcomes:
        index, text = outcome.index, outcome.text
        if outcome.state != "s" or outcome.attempt > 1:
            others += (index, outcome.state, outcome.attempt, text)
            continue
        if index != after or size > RUN_BYTES or index % BUCKET == 0:
            if texts:
                runs += (first, len(texts), "\n".join(texts))
            texts, first, size = [], index, 0
        texts.append(text)
        size += len(text)
        after = index + 1
    if texts:
        runs += (first, len(texts), "\n".join(texts))
    return [len(runs) // 3, *runs, *others]


def field(first: int, end: int) -> str:
    """The name of the field that stores the outcomes of the items `first` to `end - 1` together."""
    return f"{first}:{end - first}" if end - first > 1 else str(first)


def span_of(name: str) -> tuple[int, int]:
    """The index of the first item whose outcome a field stores, and the index after the last one."""
    first, _, count = name.partition(":")
    return int(first), int(first) + int(count or 1)
