"""Failovers by Sentinel at a small size: a primary that is cut off, killed and stopped under batches and messages."""

import pytest

from benchmarks.chaos.options import Options
from benchmarks.chaos.scenarios import run
from gristmill.config.settings import settings, variable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch):
    """The scenario sets these of its process, which other tests run in."""
    for name in ("redis_url", "confirm_replicas", "lease_seconds", "home"):
        monkeypatch.setenv(variable(name), "")
        monkeypatch.delenv(variable(name))
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_nothing_that_was_confirmed_is_lost():
    count = run("failover", "threads", "ours", Options(seed=0, kills=4, lease=3, workers=2))
    assert count.broken == []
    assert (count.lost, count.left, count.kills) == (0, 0, 4)
    assert {*count.faults} == {"cut", "kill", "freeze", "empty"}
    assert count.submitted > 1000


def test_the_first_of_the_same_faults_loses_what_was_not_confirmed():
    """A primary that is cut off goes on answering its clients until it hears of the other one."""
    count = run("unconfirmed", "threads", "ours", Options(seed=0, kills=1, lease=3, workers=2))
    assert count.broken == []
    assert {*count.faults} == {"cut"}
    assert count.lost > 0
