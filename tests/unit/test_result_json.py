"""A result as a line of JSON: what Python's encoder makes of its fields, in their documented order."""

import json

import pytest

from gristmill.batches.result import FIELDS, Result


class Loud(int):
    """An integer that prints itself otherwise."""

    def __repr__(self):
        return "loud"


VALUES = (
    None,
    True,
    False,
    0,
    -7,
    10**30,
    1.5,
    0.1,
    1e300,
    -0.0,
    float("inf"),
    "",
    'a"b\\\n\x07é😀',
    [1, None],
    {"a": [""]},
    Loud(3),
)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_each_value_is_as_pythons_encoder_writes_it(value):
    error = {"type": "ValueError", "message": 'no "é"', "traceback": "…"}
    for result in (
        Result(3, value, "succeeded", value, None, 1, 0.25, "cpu@höst", 7, None),
        Result(3, value, "failed", None, error, 2, 1e-6, "cpu@host", 7, 'said "x"\n'),
        Result(0, value, "cancelled", None, None, 0, 0.0, None, None),
    ):
        fields = {name: getattr(result, name) for name in FIELDS}
        assert result.to_json() == json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def test_a_typed_value_is_written_as_json_has_it():
    assert (
        json.loads(Result(0, 1, "succeeded", "2026-11-28", None, 1, 0.0, "w", 7).with_value(object()).to_json())[
            "value"
        ]
        == "2026-11-28"
    )
