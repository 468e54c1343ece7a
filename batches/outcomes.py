"""Outcomes as the ledger keeps them: runs of neighbours that succeeded at once in one field, all others alone."""

from collections.abc import Iterable, Iterator
from typing import Any

from batches.chunk import Outcome

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


def spans(fields: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    """The first index, the end and the name of each field of a hash of outcomes."""
    for field in fields:
        first, _, count = field.partition(":")
        yield int(first), int(first) + int(count or 1), field
