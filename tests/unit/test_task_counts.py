"""Counts of plain Celery tasks between two heartbeats."""

from gristmill.worker.task_counts import TaskCounts


def test_what_the_server_did_not_get_is_counted_with_the_next_heartbeat():
    counts = TaskCounts()
    counts.begin()
    counts.count("cpu", "resize", None, None)
    counts.put_back(counts.collect())
    counts.count("cpu", "resize", None, None)
    counts.count("cpu", "resize", "ValueError", None)
    assert sorted(counts.collect()) == [("cpu", "resize", "f", 1), ("cpu", "resize", "s", 2)]
    assert counts.collect() == []


def test_nothing_is_kept_for_nobody():
    """A worker of an app of one's own has no heartbeat that collects, nor has any where meters are off."""
    counts = TaskCounts()
    counts.count("cpu", "resize", None, 0.1)
    assert counts.collect() == []
