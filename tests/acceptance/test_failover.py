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
    count = run("failover", "threads", "ours", Options(kills=3, lease=3, workers=2))
    assert count.broken == []
    assert (count.lost, count.left, count.kills) == (0, 0, 3)
    assert count.submitted > 1000


def test_the_same_faults_lose_what_was_not_confirmed():
    # One of each kind: some of them may lose nothing.
    count = run("unconfirmed", "threads", "ours", Options(kills=5, lease=3, workers=2))
    assert count.broken == []
    assert count.lost > 0
