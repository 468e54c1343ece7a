"""What is below a process ends with it, a daemon that has left its session too."""

import os
import signal
import subprocess
import sys

import pytest

from gristmill.local import descendants as module
from gristmill.local.descendants import become_subreaper, children, descendants, end_descendants, end_tree, is_subreaper
from gristmill.local.orphans import Orphans, reap
from tests.conftest import until
from tests.support.grandchildren import ended, family, in_fork, may_fork, runs  # noqa: F401

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no subreapers")


def test_the_tree_of_a_process_has_a_daemon_too(tmp_path):
    with family(tmp_path) as (pid, pids):
        assert children(pid) == set(descendants(pid)) == set(pids)


def test_a_tree_ends(tmp_path):
    with family(tmp_path) as (pid, pids):
        assert all(map(runs, pids))
        end_tree(pid)
        assert until(lambda: ended([pid, *pids]), what="the end of all")


def test_what_is_spared_keeps_what_is_below_it(tmp_path):
    with family(tmp_path) as (pid, pids):
        assert not {pid, *pids} & set(descendants(os.getpid(), {pid}))
        spared, *others = pids
        assert end_descendants(pid, {spared}) == len(others)
        assert runs(spared)
        assert ended(others)


def test_a_kernel_without_lists_of_children_is_searched(tmp_path, monkeypatch):
    def without_list(*_):
        raise FileNotFoundError

    with family(tmp_path) as (pid, pids):
        monkeypatch.setattr(module, "children_of_thread", without_list)
        assert children(pid) == set(pids)


def _adopt_and_end(spare: bool) -> list[bool]:
    """Whether this process has adopted an orphan, and whether the orphan runs after the end of orphans."""
    own = subprocess.Popen(["sleep", "600"]).pid
    orphans = Orphans()
    later = subprocess.Popen(["sleep", "600"]).pid
    reading, writing = os.pipe()
    worker = os.fork()
    if not worker:
        os.setsid()
        os.write(writing, b"%d" % subprocess.Popen(["sleep", "600"]).pid)
        os._exit(0)
    os.waitpid(worker, 0)
    orphan = int(os.read(reading, 20))
    adopted = orphan in children(os.getpid())
    orphans.end({orphan, later} if spare else {later} if adopted else ())
    answer = [adopted, runs(orphan), runs(own) and runs(later)]
    for pid in (orphan, own, later):
        if runs(pid):
            os.kill(pid, signal.SIGKILL)
    return answer


@pytest.mark.parametrize("spare", [False, True])
def test_a_subreaper_ends_orphans_and_nothing_of_its_own(spare):
    def adopt():
        become_subreaper()
        return [is_subreaper(), *_adopt_and_end(spare)]

    assert in_fork(adopt) == repr([True, True, spare, True])


def test_a_program_that_is_no_subreaper_ends_nothing():
    assert in_fork(lambda: [is_subreaper(), *_adopt_and_end(spare=False)]) == repr([False, False, True, True])


def test_adopted_children_are_waited_for_on_the_second_look():
    def adopt():
        become_subreaper()
        middle = os.fork()
        if not middle:
            if not os.fork():
                os._exit(0)
            os._exit(0)
        os.waitpid(middle, 0)
        orphans = until(lambda: reap(set()), what="the end of the orphan")
        remaining = reap(orphans)
        return len(orphans), remaining, children(os.getpid())

    assert in_fork(adopt) == repr((1, set(), set()))
