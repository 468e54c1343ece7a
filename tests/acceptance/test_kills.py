"""Nothing is lost and nothing recorded twice, whichever process is killed with -9 while a batch runs."""

import os
import signal

import pytest
from psutil import NoSuchProcess

from tests.conftest import until
from tests.support.command import Place

pytestmark = pytest.mark.slow


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def a_pool_child(place: Place) -> int:
    """The pid of one of the processes that run items."""

    def child() -> int | None:
        try:
            children = place.worker("cpu").children()
        except NoSuchProcess:
            return None
        return children[0].pid if children else None

    return until(child, what="a pool process")


def submitted(place: Place, n: int, count: int) -> None:
    """A batch `x` of the same item many times."""
    items = place.file("items", f"{n}\n" * count)
    place.run("submit", "fibonacci", "--from", items, "--name", "x").good()


def progress(place: Place, items: int) -> None:
    """Wait until so many more items have an outcome."""
    goal = place.info("x").done + items
    until(lambda: place.info("x").done >= goal, 90, f"item {goal}")


def complete(place: Place, count: int, value: int) -> None:
    """Wait for the end and assert that the books balance, item by item."""
    info = place.ended("x")
    assert info.submitted == count == info.succeeded + info.failed + info.cancelled + info.dead, info
    assert (info.succeeded, info.left) == (count, 0), info
    results = place.results("x")
    assert [result.index for result in results] == list(range(count))
    assert {result.value for result in results} == {value}
    rows = place.run("results", "x", "--follow").good().rows
    assert sorted(row["index"] for row in rows) == list(range(count)), "each is followed once"


class TestKills:
    def test_a_pool_process(self, place):
        """Its chunk is run by another; nothing else notices."""
        with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2"):
            submitted(place, 24, 200)
            for _ in range(2):
                progress(place, 20)
                kill(a_pool_child(place))
            complete(place, 200, 46368)

    def test_the_server(self, place):
        """`up` starts it again where it was, and the workers find it."""
        with place.up("cpu", "--cpu-slots", "2", in_peace=False) as running:
            submitted(place, 24, 400)
            progress(place, 40)
            before = place.server()
            kill(before.server_pid)
            until(lambda: place.server().server_pid != before.server_pid, what="another server")
            assert place.server().url == before.url
            complete(place, 400, 46368)
            assert "the server had died and was started again" in running.err

    @pytest.mark.timeout(400)
    def test_a_whole_worker_again_and_again(self, place):
        """With the lease that ships."""
        with place.up("cpu", "--cpu-slots", "2", in_peace=False) as running:
            submitted(place, 24, 1000)
            for _ in range(3):
                progress(place, 100)
                worker = place.worker("cpu")
                children = {child.pid for child in worker.children()}
                kill(worker.pid)
                until(lambda: place.worker("cpu").pid != worker.pid, 60, "another worker")  # noqa: B023
                until(lambda: children.isdisjoint(place.pids()), what="the end of its pool, after its chunks")  # noqa: B023
            complete(place, 1000, 46368)
            assert running.err.count("the cpu worker ended with code -9") == 3

    @pytest.mark.timeout(600)
    def test_everything_in_turn(self, place):
        with place.up("cpu", "--cpu-slots", "2", in_peace=False):
            submitted(place, 24, 1000)
            for _ in range(2):
                progress(place, 60)
                kill(a_pool_child(place))
                progress(place, 60)
                kill(place.server().server_pid)
                progress(place, 60)
                kill(place.worker("cpu").pid)
            complete(place, 1000, 46368)

    @pytest.mark.timeout(300)
    def test_the_owner_of_everything(self, place):
        """`up` itself: all of it ends, and the next one goes on."""
        for number in range(3):
            with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2") as running:
                if number == 0:
                    submitted(place, 24, 800)
                progress(place, 40)
                kill(running.pid)
                running.end()
            place.deserted()
        with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2"):
            complete(place, 800, 46368)

    def test_a_producer_that_feeds(self, place):
        """Repeated, it goes on where it was: every item is submitted once."""
        items = [str(n % 20) for n in range(60_000)]
        command = ("submit", "fibonacci", "--from", place.file("items", "\n".join(items)), "--name", "x")
        with place.server_only():
            with place.start(*command) as running:
                until(lambda: "x" in place.names() and place.info("x").submitted > 1000, what="a beginning")
                kill(running.pid)
                running.end()
            assert 1000 < place.info("x").submitted < 60_000
            # For some seconds the one that was killed still counts as feeding.
            until(lambda: place.run(*command).code == 0, what="another go")
            assert place.info("x").submitted == 60_000
            with place.ledger() as ledger:
                assert list(ledger.items("x")) == list(enumerate(items))
