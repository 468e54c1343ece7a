"""The pool's processes: which of them the event loop watches."""

import os
from types import SimpleNamespace

import pytest

from gristmill.worker.celery_internals import HookedPool


@pytest.fixture
def pool():
    return HookedPool.__new__(HookedPool)


def _watched(pool, process):
    descriptors = []
    hub = SimpleNamespace(add_reader=lambda descriptor, *_: descriptors.append(descriptor))
    pool._track_child_process(process, hub)
    return descriptors


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="pidfds are Linux's")
def test_a_process_is_watched_by_its_pidfd(pool):
    process = SimpleNamespace(pid=os.getpid())
    assert _watched(pool, process) == [process._sentinel_poll]
    os.close(process._sentinel_poll)


def test_a_process_whose_death_was_seen_just_before_the_connection_broke_does_not_end_its_worker(pool):
    # What Celery leaves of it until the pool has replaced it.
    assert _watched(pool, SimpleNamespace(pid=os.getpid(), _sentinel_poll=None)) == []
