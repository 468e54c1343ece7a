"""The watch of a worker that is alone, on a real server: nobody is there to be seen, until somebody comes."""

import time

import pytest

from gristmill.fleet.watcher import ENLIST_SECONDS, HOLD_SECONDS, TOLD_SECONDS
from tests.conftest import until


@pytest.fixture(autouse=True)
def alone(bench, watcher):
    watcher.begin()
    until(lambda: watcher._members == {watcher.lease.consumer}, what="an enlistment")


def test_it_watches_nobody_until_somebody_comes(others, watcher):
    assert watcher._look not in watcher.lease.heartbeat.calls
    others.enlist("living:2")
    until(lambda: watcher._look in watcher.lease.heartbeat.calls, what="a watch")
    others.end("living:2")
    until(lambda: watcher._look not in watcher.lease.heartbeat.calls, what="the end of the watch")


def test_it_finds_whoever_came_and_died_before_its_next_look(bench, others, watcher):
    """Its own connection stood all the time, so it need not wait as long as after a break."""
    bench.client.xadd(f"{bench.prefix}gm1:q:q:0", {"m": "{}"})
    others.enlist("dead:1")
    others.take("dead:1")
    others.end("dead:1")
    until(lambda: bench.client.zcard(f"{bench.prefix}gm1:back:q") == 1, 10)
    assert not watcher._absences._unseen


def test_its_heartbeat_sees_at_once_that_its_connection_ends(bench, watcher):
    connections = watcher.subscription.count
    ended_at = time.monotonic()
    bench.client.client_kill_filter(_type="pubsub")
    until(lambda: watcher.subscription.count > connections, what="another connection")
    assert time.monotonic() - ended_at < HOLD_SECONDS / 2


def test_one_that_is_told_asks_less_often_and_at_once_when_the_fleet_lacks_a_watcher(others, watcher):
    watcher.tell(is_lacking=False)
    until(lambda: watcher._enlist.seconds == TOLD_SECONDS, what="an enlistment")
    others.enlist("living:2")
    told_at = time.monotonic()
    watcher.tell(is_lacking=True)
    until(lambda: watcher._look in watcher.lease.heartbeat.calls, what="a watch")
    assert time.monotonic() - told_at < TOLD_SECONDS / 2
    assert watcher._enlist.seconds == ENLIST_SECONDS
