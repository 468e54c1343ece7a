"""One outcome that nobody can read stops no reader."""

import json

from gristmill.batches.outcomes import stored


def _group(*values: str) -> str:
    header = {"state": "succeeded", "attempts": 1, "worker": "cpu@a", "pid": 7, "seconds": [0.1] * len(values)}
    return "\n".join([json.dumps(header), *values])


def test_an_outcome_that_is_no_json_is_a_failure_and_its_neighbours_are_read():
    first, second, third = stored(_group("[1]", "broken", '"x"'))
    assert [(one.state, one.value) for one in (first, third)] == [("succeeded", [1]), ("succeeded", "x")]
    assert (second.state, second.value["type"]) == ("failed", "UnreadableOutcome")
    assert "broken" in second.value["message"]
