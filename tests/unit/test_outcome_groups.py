"""Which outcomes are recorded as one group: neighbours that ended alike, in one process."""

from json import loads

import pytest

from gristmill.batches.chunk import Outcome
from gristmill.batches.outcomes import BUCKET, GROUP_BYTES, groups
from gristmill.batches.value_file import FileText

FIELDS = 7


def outcome(index, text="null", **fields):
    return Outcome(index, **{"state": "succeeded", "attempt": 1, "text": text, "worker": "cpu@a", "pid": 9, **fields})


def spans(*outcomes):
    """The first index and the number of items of each group."""
    flat = groups(outcomes)
    return [(flat[at], flat[at + 1]) for at in range(0, len(flat), FIELDS)]


def test_neighbours_that_ended_alike_are_one_group():
    first, count, state, attempt, delay, header, values = groups(
        [outcome(index, str(index), seconds=index / 4) for index in range(3, 7)]
    )
    assert (first, count, state, attempt, delay) == (3, 4, "succeeded", 1, "")
    assert loads(header) == {
        "state": "succeeded", "attempts": 1, "worker": "cpu@a", "pid": 9, "seconds": [0.75, 1.0, 1.25, 1.5]
    }  # fmt: skip
    assert values == "3\n4\n5\n6"


def test_no_outcome_makes_no_group():
    assert groups([]) == []


@pytest.mark.parametrize(
    "fields",
    [{"state": "failed"}, {"attempt": 2}, {"worker": "cpu@b"}, {"pid": 8}, {"retry_ms": 0}, {"text": FileText("{}")}],
    ids=lambda fields: next(iter(fields)),
)
def test_what_ended_in_another_way_is_a_group_of_its_own(fields):
    assert spans(outcome(0), outcome(1), outcome(2, **fields), outcome(3)) == [(0, 2), (2, 1), (3, 1)]


@pytest.mark.parametrize("fields", [{"retry_ms": 5}, {"text": FileText("{}")}], ids=lambda fields: next(iter(fields)))
def test_neither_attempts_to_come_nor_values_in_files_have_neighbours(fields):
    assert spans(outcome(0, **fields), outcome(1, **fields)) == [(0, 1), (1, 1)]


def test_a_gap_ends_a_group():
    assert spans(outcome(0), outcome(1), outcome(3)) == [(0, 2), (3, 1)]


def test_a_group_lies_in_one_hash_of_outcomes():
    assert spans(*map(outcome, range(BUCKET - 2, 2 * BUCKET + 1))) == [
        (BUCKET - 2, 2),
        (BUCKET, BUCKET),
        (2 * BUCKET, 1),
    ]


def test_long_values_end_a_group():
    assert spans(*(outcome(index, "0" * GROUP_BYTES) for index in range(4))) == [(0, 2), (2, 2)]
