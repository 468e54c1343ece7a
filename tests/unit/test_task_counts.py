"""Counts of plain Celery tasks between two heartbeats."""

from gristmill.worker import task_counts


def test_what_the_server_did_not_get_is_counted_with_the_next_heartbeat():
    task_counts.collect()
    task_counts.count("cpu", "resize", None, None)
    task_counts.put_back(task_counts.collect())
    task_counts.count("cpu", "resize", None, None)
    task_counts.count("cpu", "resize", "ValueError", None)
    assert sorted(task_counts.collect()) == [("cpu", "resize", "f", 1), ("cpu", "resize", "s", 2)]
    assert task_counts.collect() == []
