"""`gristmill_label_items`: each item once for each label, in a bounded number of series."""

from collections import Counter

from gristmill.dashboard.label_metrics import OTHERS, STATES, VALUES_MOST, label_items
from tests.support.batch_info import batch_info


def batch(number, succeeded=0, left=0, **labels):
    return batch_info(f"b{number}", succeeded=succeeded, left=left, labels=labels)


def counts(batches, *labels):
    return {tuple(sample.labels.values()): sample.value for sample in label_items(batches, labels).samples}


def test_items_are_added_up_by_value():
    batches = [batch(1, 3, 1, team="maps"), batch(2, 2, team="maps", env="prod"), batch(3, 0, 7, env="test"), batch(4)]
    found = counts(batches, "team", "env")
    assert found["team", "maps", "succeeded"] == 5
    assert found["team", "maps", "left"] == 1
    assert found["team", "", "left"] == 7
    assert found["env", "prod", "succeeded"] == 2
    assert {label for label, _, _ in found} == {"team", "env"}
    assert len(found) == (2 + 3) * len(STATES)
    assert counts(batches) == {}


def test_the_number_of_series_is_bounded_and_no_item_is_left_out():
    batches = [batch(number, left=1 + number, user=f"u{number}") for number in range(VALUES_MOST + 30)]
    found = counts(batches, "user")
    assert len(found) == (VALUES_MOST + 1) * len(STATES)
    left = Counter({value: number for (_, value, state), number in found.items() if state == "left"})
    assert left.total() == sum(info.left for info in batches)
    assert left[OTHERS] == sum(range(1, 31))
    assert left["u30"] == 31
    assert "u29" not in left
