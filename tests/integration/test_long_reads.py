"""A worker's read waits on the server for five seconds when nothing comes: what has to end it sooner does."""

import signal

import pytest

from gristmill.broker.link import READ_SECONDS
from tests.conftest import until
from tests.support.dropin_bench import DropIn

BENCH = DropIn
#: A test is over before a read ends by itself.
SOON = READ_SECONDS / 2


@pytest.fixture
def held(bench, channel):
    """The tags of two tasks of some seconds each, which this process has taken."""
    bench.send(f"for n in (1, 2): mark.delay(n, {READ_SECONDS})")
    return [channel.basic_get("q").delivery_tag for _ in range(2)]


@pytest.fixture
def workers(bench, held):
    """Two workers of one slot each, both of which have just begun to wait for messages."""
    # A read is no longer than a quarter of a lease.
    bench.environ["GRISTMILL_LEASE_SECONDS"] = str(4 * READ_SECONDS)
    workers = [bench.worker("threads", 1, 1, "--without-heartbeat") for _ in range(2)]
    for number in range(2):
        bench.ready(number)
    # Both reads begin anew.
    bench.send("app.control.add_consumer('aside', reply=True, limit=2, timeout=30)")
    until(lambda: len(waits(bench)) == 2 and max(waits(bench)) <= 1, 60, "two reads that have just begun")
    return workers


def waits(bench):
    """For how many seconds each worker has waited."""
    return [int(client["idle"]) for client in bench.client.client_list() if client["cmd"] == "xreadgroup"]


def test_what_is_handed_back_wakes_as_many_workers_as_have_room(bench, channel, held, workers):
    assert bench.begun() == []
    channel.lease.hand_back(held)
    until(lambda: bench.begun() == [1, 2], SOON, "both tasks")


def test_a_queue_that_is_added_is_read_at_once(bench, channel, workers):
    bench.send("for n in range(2): app.control.add_consumer('other', reply=True, limit=2, timeout=30)")
    bench.send("mark.apply_async((3,), queue='other')")
    until(lambda: bench.done() == [3], SOON, "the message of the other queue")


def test_a_worker_that_is_shut_down_ends_at_once(workers):
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.wait(SOON)
