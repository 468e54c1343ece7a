"""How long a batch still takes: from its rate, or of slow items from how long they took, and from what runs."""

import pytest

from gristmill.batches.info import BatchInfo
from gristmill.cli.output.progress import describe
from gristmill.fleet.outlook import Outlook
from gristmill.fleet.running_items import Progress, RunningItem

STATE = {"task": "t", "queue": "cpu", "submitted_by": "me@here", "created": "0", "input_ended": "1"}


def info(submitted, succeeded):
    return BatchInfo.from_fields("b", {**STATE, "stored": str(submitted), "succeeded": str(succeeded)})


def running(index, seconds, progress=None):
    return RunningItem("b", index, None, 0.0, seconds, 1, progress, "cpu@a", 1)


def test_ten_items_of_25_s_on_two_slots():
    """The time left goes down evenly, from the first outcomes to the last."""
    for done in range(2, 10, 2):
        for elapsed in (0.0, 5.0, 12.5, 24.0):
            items = [running(done, elapsed), running(done + 1, elapsed)] if elapsed >= 1 else []
            outlook = Outlook(items, 25.0, 2)
            left = outlook.seconds_left(info(10, done), 0.08)
            assert left == pytest.approx((10 - done) / 2 * 25 - (elapsed if items else 0))


@pytest.mark.parametrize(
    ("outlook", "rate", "left"),
    [
        (Outlook(), 2.0, 4.0),
        (Outlook(), 0.0, None),
        (Outlook(mean=0.01, slots=2), 2.0, 4.0),
        (Outlook(mean=25.0, slots=0), 0.0, None),
        (Outlook([running(1, 3.0)], 25.0, 2, is_async=True), 2.0, 4.0),
    ],
)
def test_of_quick_items_the_rate_counts(outlook, rate, left):
    assert outlook.seconds_left(info(10, 2), rate) == left


def test_progress_tells_more_than_the_others_did():
    outlook = Outlook([running(9, 60.0, Progress(3, 4))], 25.0, 1)
    assert outlook.seconds_left(info(10, 9), 0.0) == pytest.approx(20)


def test_the_batch_ends_no_sooner_than_the_item_that_takes_longest():
    outlook = Outlook([running(8, 20.0), running(9, 5.0)], 25.0, 2)
    assert outlook.seconds_left(info(10, 8), 0.1) == pytest.approx(20)


def test_nothing_is_said_of_an_item_that_takes_longer_than_the_others():
    assert Outlook([running(9, 60.0)], 25.0, 1).seconds_left(info(10, 9), 0.01) is None
    assert Outlook().seconds_left(info(10, 10), 1.0) == 0.0


def test_what_runs_is_said_before_the_first_outcome():
    outlook = Outlook([running(1, 12.0, Progress(2, 5, "epoch 2\x1b[2J")), running(0, 7.0)])
    text = describe(info(10, 0), 0.0, outlook)
    assert "item 1 runs for 12 s (40 %, epoch 2\\x1b[2J)" in text
    assert " left" not in text
    assert "item 1" not in describe(info(10, 0), 0.0, Outlook([running(1, 3.0)]))
