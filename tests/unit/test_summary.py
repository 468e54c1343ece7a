"""The line that says how a batch ended."""

from gristmill.batches.info import State
from gristmill.cli.output.following import summary
from tests.support.batch_info import batch_info


def test_the_counts_that_are_not_zero():
    info = batch_info("x", succeeded=1, state=State.SUCCEEDED, finished=2.0)
    assert summary(info) == "batch x: succeeded in 2.0 s: 1 item, 1 succeeded, 0 failed"
    info = batch_info("x", succeeded=2000, state=State.SUCCEEDED, dead=1, duplicates=1, rejected=3)
    assert summary(info).endswith(": 2,000 items, 2,000 succeeded, 0 failed, 1 dead, 1 duplicate, 3 rejected")
    assert summary(batch_info("x", succeeded=1, duplicates=2000)).endswith(", 2,000 duplicates")
