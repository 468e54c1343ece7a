"""Results of neighbours that were recorded together: made together, and the same as one by one."""

from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gristmill.batches.bit_words import WORD, set_bits, words_of
from gristmill.batches.chunk import Outcome
from gristmill.batches.outcomes import StoredGroup, groups, stored
from gristmill.batches.result import Result

ERROR = '{"type": "OSError", "message": "gone", "traceback": ""}'


def text_of(state, texts):
    outcomes = [Outcome(7 + n, state, 2, text, 0.25 * n, "cpu@host", 4711) for n, text in enumerate(texts)]
    [_, _, _, _, _, header, values] = groups(outcomes)
    return f"{header}\n{values}"


@pytest.mark.parametrize(("state", "texts"), [("succeeded", ["1", '{"a": [2]}', "null"]), ("failed", [ERROR, ERROR])])
def test_results_made_together_are_those_made_one_by_one(state, texts):
    text, items = text_of(state, texts), list(range(len(texts)))
    one_by_one = [
        Result.from_outcome(7 + n, item, outcome) for n, item, outcome in zip(items, items, stored(text), strict=True)
    ]
    together = Result.of_group(7, items, StoredGroup.of(text))
    assert together == one_by_one
    assert [result.to_json() for result in together] == [result.to_json() for result in one_by_one]


def test_they_are_frozen_results():
    [result] = Result.of_group(7, [3], StoredGroup.of(text_of("succeeded", ["1"])))
    assert type(result) is Result
    assert [one.name for one in fields(result)] == [one.name for one in fields(Result)]
    with pytest.raises(FrozenInstanceError):
        result.value = 2
    assert result.with_value(2).value == 2
    assert result.file is None


@pytest.mark.parametrize("text", ['{"a": ', "1,2"])
def test_a_group_with_a_value_that_is_no_json_is_read_one_by_one(text):
    whole = text_of("succeeded", ["1", text])
    assert StoredGroup.of(whole) is None
    assert [outcome.state for outcome in stored(whole)] == ["succeeded", "failed"]


@given(
    first=some.integers(0, 300),
    bits=some.lists(some.booleans(), min_size=1, max_size=3 * WORD + 1)
    | some.integers(1, 160).map(lambda n: [True] * n),
)
def test_the_set_bits_of_words(first, bits):
    end = first + len(bits)
    text = "".join("01"[bit] for bit in bits)
    words = [int(text[int(at) - first :][: int(str(kind)[1:])], 2) for kind, at in words_of(first, end)]
    assert set_bits(words, first, end) == [first + place for place, bit in enumerate(bits) if bit]
