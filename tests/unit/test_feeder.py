"""What a producer does between two items, without a server: which errors it reports, and when."""

import threading
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from gristmill.batches.feed import AlreadyFeeding, Feed
from gristmill.config.settings import load, settings
from gristmill.errors import BatchCancelled, InputError, ServerError
from gristmill.producer.backpressure import Stopped
from gristmill.producer.feeder import BLOCK_SECONDS, Feeder
from gristmill.producer.feeding import Feeding
from gristmill.producer.items.checked import ItemLot
from gristmill.server.waiting import COMMAND, NEVER


class Ledger:
    """Stores blocks in memory; `error` is raised by the next calls."""

    settings = load({})

    def __init__(self):
        # The discard port: nothing is sent.
        self.client = Redis(port=9)
        self.blocks, self.heartbeats, self.error = [], 0, None

    def through(self, client):
        return self

    def items(self, batch):
        return iter(())

    def append(self, batch, token, first, items, sha, values=""):
        self._fail()
        self.blocks.append((first, list(items), sha))

    def producer_heartbeat(self, batch, token):
        self._fail()
        self.heartbeats += 1

    def _fail(self):
        if self.error:
            raise self.error


class Room:
    """A server with room; it keeps what a person is told of the wait."""

    def __init__(self):
        self.told = []

    has_room = wait = lambda *_: True

    def tell(self, reason, _):
        self.told.append(reason)

    def release(self):
        self.told.append("going on")


@pytest.fixture
def ledger(monkeypatch):
    ledger = Ledger()
    monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://127.0.0.1:9")
    settings.cache_clear()
    yield ledger
    settings.cache_clear()


@pytest.fixture
def feeder(ledger):
    feed = Feed(created=True, stored=0, sha="", input_ended=False)
    return Feeder(ledger, "b", "token", feed, Room(), threading.Event(), SimpleQueue())


def age(feeder, seconds):
    feeder._since -= seconds
    feeder._answered_at -= seconds


def test_an_old_block_is_sent_and_without_one_a_sign_of_life(feeder, ledger):
    feeder._add(["0"])
    feeder._keep_up()
    assert ledger.blocks == []
    age(feeder, BLOCK_SECONDS + 2)
    feeder._keep_up()
    assert [(first, items) for first, items, _ in ledger.blocks] == [(0, ["0"])]
    assert (feeder.stored, ledger.heartbeats) == (1, 0)
    age(feeder, 2)
    feeder._keep_up()
    assert (len(ledger.blocks), ledger.heartbeats) == (1, 1)


def test_a_block_of_which_nobody_knows_whether_it_is_stored_is_sent_again_as_it_was(feeder, ledger):
    feeder._add(["0"])
    age(feeder, BLOCK_SECONDS + 2)
    ledger.error = RedisConnectionError("the answer was lost")
    feeder._keep_up()
    ledger.error = None
    feeder.send(iter([ItemLot(1, ["1", "2"])]), str, str)
    assert [(first, items) for first, items, _ in ledger.blocks] == [(0, ["0"]), (1, ["1", "2"])]
    assert feeder.stored == 3


@pytest.mark.parametrize("error", [AlreadyFeeding("another"), BatchCancelled("by you")])
def test_a_batch_that_is_no_longer_ours_is_reported_at_once(feeder, ledger, error):
    age(feeder, 2)
    ledger.error = error
    feeder._keep_up()
    ledger.error = None
    with pytest.raises(type(error)):
        feeder.send(iter([ItemLot(1, ["0"])]), str, str)
    assert ledger.blocks == []


def test_a_server_that_is_away_is_reported_once_a_command_has_waited_for_it(feeder, ledger):
    age(feeder, 2)
    ledger.error = RedisConnectionError("away")
    feeder._keep_up()
    assert feeder.problems.empty()
    age(feeder, COMMAND.seconds)
    feeder._keep_up()
    assert isinstance(feeder.problems.get_nowait(), ServerError)


def test_a_full_server_is_no_problem_and_somebody_is_told(feeder, ledger):
    feeder._add(["0"])
    age(feeder, COMMAND.seconds + 2)
    ledger.error = OutOfMemoryError("OOM")
    feeder._keep_up()
    assert feeder.problems.empty()
    (reason,) = feeder._backpressure.told
    assert "is full" in reason
    ledger.error = None
    age(feeder, 2)
    feeder._keep_up()
    assert feeder._backpressure.told == [reason, "going on"]


def test_the_heartbeat_waits_for_no_one_who_sends(feeder, ledger):
    age(feeder, 2)
    with feeder._lock:
        feeder._keep_up()
    assert ledger.heartbeats == 0


def test_one_that_was_stopped_sends_nothing_more(feeder, ledger):
    age(feeder, 2)
    feeder.stop.set()
    feeder._keep_up()
    with pytest.raises(Stopped):
        feeder.send(iter([ItemLot(1, ["0"])]), str, str)
    assert (ledger.heartbeats, ledger.blocks) == (0, [])


class Submission:
    """A submission whose input never ends, in a thread; it stops when it is told to."""

    items = SimpleNamespace(source=SimpleNamespace(regular=True))

    def __init__(self, error=None):
        self.problems, self.error = SimpleQueue(), error
        self.verified, self.stopped = threading.Event(), threading.Event()

    def restart(self):
        pass

    def send(self, deadline):
        if self.error:
            raise self.error
        self.stopped.wait(20)
        raise Stopped

    def send_heartbeat(self):
        pass

    def stop(self):
        self.stopped.set()


def test_whoever_waits_learns_what_went_wrong_elsewhere_while_the_input_is_stuck():
    submission = Submission()
    submission.problems.put(BatchCancelled("by you"))
    with pytest.raises(BatchCancelled), Feeding(submission, NEVER) as feeding:
        feeding.finish()


def test_whoever_waits_learns_what_is_wrong_with_the_input():
    with pytest.raises(InputError), Feeding(Submission(InputError("line 2")), NEVER) as feeding:
        feeding.finish()


def test_whoever_follows_is_told_once_that_the_batch_was_cancelled():
    lines = []
    with Feeding(Submission(), NEVER, lines.append) as feeding:
        for _ in range(2):
            feeding.submission.problems.put(BatchCancelled("by you"))
            feeding.check()
    assert lines == ["by you"]
