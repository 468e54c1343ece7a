"""How long the items left of a queue take together."""

import pytest

from gristmill.batches.info import State
from gristmill.fleet.backlog import Backlog
from gristmill.fleet.meters import TaskCount
from gristmill.fleet.overview import measure
from gristmill.fleet.queue_history import QueueHistory, QueueSecond
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.running_items import RunningItem
from tests.support.batch_info import batch_info


def work(*, ended, own, left=1000):
    """Seconds of the items left of a batch; of its task, 100 items of 10 ms have ended in the last minute."""
    count = TaskCount(succeeded=100, busy=1.0)
    history = QueueHistory([QueueSecond({"sweep": count}, {"left": left, "slots": 2, "busy": 2}, done=100, work=1.0)])
    info = batch_info("b", task="sweep", succeeded=ended, left=left)
    return Backlog.of("cpu", [info], history, {"b": own} if own else {}).work(left)


@pytest.mark.parametrize(
    ("ended", "own", "seconds"),
    [
        # The items of its task were of other batches too: an earlier one had quick items.
        (50, 0.5, 500.0),
        # They were all its own: then the mean of a minute tells more than that of the last few.
        (100, 0.5, 10.0),
        # Too few of its own have ended.
        (3, 0.5, 10.0),
        (50, None, 10.0),
    ],
)
def test_a_batch_tells_how_long_its_items_take_where_its_task_has_others(ended, own, seconds):
    assert work(ended=ended, own=own) == pytest.approx(seconds)


def test_batches_that_nothing_is_known_of_count_as_one_for_each_task():
    history = QueueHistory(
        [QueueSecond({"sweep": TaskCount(succeeded=100, busy=1.0)}, {"left": 1}, done=100, work=1.0)]
    )
    names = [f"b{number}" for number in range(5)]
    infos = [batch_info(name, task="sweep" if name < "b4" else "other", left=10) for name in names]
    infos += [batch_info("begun", task="sweep", succeeded=10, left=10), batch_info("runs", task="sweep", left=10)]
    runs = RunningItem("runs", 0, None, 0.0, 5.0, 1, None, "w", 1)
    backlog = Backlog.of("cpu", infos, history, {"begun": 0.5}, [runs])
    assert [(batch.name, batch.left) for batch in backlog.batches] == [
        ("begun", 10),
        ("runs", 10),
        ("b0", 40),
        ("b4", 10),
    ]
    apart = Backlog(infos, history, {"begun": 0.5}, [runs])
    assert (backlog.work(70), backlog.doubt) == pytest.approx((apart.work(70), apart.doubt))
    assert backlog.longest(70) == apart.longest(70)


def test_items_that_wait_for_other_batches_or_for_their_time_are_not_paused():
    states = {State.PAUSED: 5, State.WAITING: 2, State.SCHEDULED: 1, State.RUNNING: 4}
    infos = [batch_info(str(state), left=left, state=state) for state, left in states.items()]
    history = QueueHistory([])
    queue = measure("cpu", history, {"left": 4, "held": 8}, [], Backlog.of("cpu", infos, history, {}), infos)
    assert (queue.left, queue.paused, queue.waiting) == (4, 5, 3)
    # Those that wait have begun since the sample.
    infos = [info for info in infos if info.state in {State.PAUSED, State.RUNNING}]
    queue = measure("cpu", history, {"held": 8}, [], Backlog.of("cpu", infos, history, {}), infos)
    assert (queue.paused, queue.waiting) == (5, 3)


@pytest.mark.parametrize(("left", "rounds"), [(9, 3), (8, 2), (6, 2), (5, 2)])
def test_equal_items_take_whole_rounds(left, rounds):
    queue = QueueNow("cpu", left=left, seconds=30.0, work=left * 30.0, used=1.0, slots=4, busy=4, longest=34.0)
    assert queue.drain == pytest.approx(30.0 * rounds + 4.0)


def test_slots_of_unlike_items_leave_them_one_by_one():
    queue = QueueNow("cpu", left=5, seconds=30.0, work=150.0, used=1.0, slots=4, busy=4, longest=90.0)
    assert queue.drain == pytest.approx(30.0 / 4 + 90.0)
