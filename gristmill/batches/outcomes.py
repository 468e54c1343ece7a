"""Outcomes as the ledger keeps them: runs of neighbours that succeeded at once in one field, all others alone."""

from collections.abc import Iterable
from typing import Any

from gristmill.batches.chunk import Outcome

#: Indexes of one hash of outcomes; as in ledger.lua.
BUCKET = 500
#: Bytes of a run's texts, more or less: reading one of its outcomes reads them all.
RUN_BYTES = 32 << 10


def flattened(outcomes: Iterable[Outcome]) -> list[Any]:
    """The outcomes, by index, as arguments of record.lua: how many runs there are, the runs, the other outcomes."""
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
    """The field that the outcomes of the items `first` to `end - 1` have when they are kept together."""
    return f"{first}:{end - first}" if end - first > 1 else str(first)


def span_of(name: str) -> tuple[int, int]:
    """The first item and the end of those whose outcomes a field has."""
    first, _, count = name.partition(":")
    return int(first), int(first) + int(count or 1)
