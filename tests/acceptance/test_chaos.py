"""The chaos harness at a small size: every fault, a short lease, and then the count."""

import random
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.chaos.faults import restart
from benchmarks.chaos.options import Options
from benchmarks.chaos.run import Run
from benchmarks.chaos.scenarios import run
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer

#: Seconds of a task: slots are busy, and the processors are left to the workers that start in place of the dead.
SECONDS = {"prefork": 0.05, "threads": 0.2}
POOLS = pytest.mark.parametrize("pool", ["prefork", "threads"])
#: What is done, to which pool, and how often: so much that it takes seconds.
SMALL = [
    ("kill", "prefork", {"kills": 5}),
    ("kill", "threads", {"kills": 5}),
    ("child", "prefork", {"kills": 3}),
    ("stop", "threads", {"kills": 1}),
    ("pause", "prefork", {"kills": 1}),
    ("gil", "threads", {"kills": 1}),
    ("block", "prefork", {"kills": 1}),
    ("server", "prefork", {"kills": 1, "down": 1}),
    ("cut", "threads", {"kills": 3}),
    ("backlog", "prefork", {"kills": 1, "tasks": 20_000}),
    ("poison", "prefork", {"tasks": 40}),
    ("poison", "threads", {"tasks": 40}),
    ("warm", "prefork", {"kills": 2}),
    ("warm", "threads", {"kills": 2}),
    ("replaced", "prefork", {"tasks": 50}),
    ("batch", "prefork", {"kills": 2, "tasks": 1000}),
    ("batch", "threads", {"kills": 2, "tasks": 8000}),
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def counted(scenario, pool, **options):
    """The count of a run of ours that broke no promise and was hit at least as often as was asked."""
    count = run(scenario, pool, "ours", Options(**{"lease": 2, "every": 0.3, "seconds": SECONDS[pool], **options}))
    assert count.broken == []
    assert count.lost == 0
    assert count.submitted > 0
    assert count.kills >= options.get("kills", 0)
    return count


@contextmanager
def play(pool, options):
    """A run of ours for what no scenario does."""
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    with ExitStack() as stack:
        server = stack.enter_context(PrivateServer(Home(directory), load({})))
        yield stack.enter_context(Run(server, directory, "ours", pool, options, random.Random(1)))
    shutil.rmtree(directory)


@pytest.mark.parametrize(("scenario", "pool", "options"), SMALL)
def test_nothing_is_lost(scenario, pool, options):
    counted(scenario, pool, **options)


@POOLS
def test_a_task_of_three_leases_runs_once_across_a_restart_of_the_server_of_ten_seconds(pool):
    count = counted("long", pool, lease=5, down=10)
    assert (count.kills, count.done, count.redelivered) == (1, 2, 0)


@POOLS
def test_with_the_default_lease_a_dead_workers_messages_run_elsewhere_within_thirty_seconds(pool):
    count = counted("kill", pool, kills=2, lease=20)
    assert count.recoveries
    assert count.worst <= 30


@pytest.mark.parametrize(("pool", "tasks"), [("prefork", 8), ("threads", 40)])
def test_what_a_pool_had_waiting_while_the_server_restarts_runs_once(pool, tasks):
    with play(pool, Options(lease=2, down=0)) as this:
        this.put(tasks, 1.5)
        this.fleet.start()
        this.until(lambda: this.journal.beginnings, "a beginning")
        restart(this)
        this.settle()
        assert set(this.journal.done) == set(range(tasks))
        assert this.journal.begun_again == 0


def test_what_a_pool_is_being_sent_when_the_connection_breaks_is_acknowledged():
    with play("prefork", Options(lease=2, seconds=0)) as this:
        this.fleet.start()
        for _ in range(20):
            goal = this.journal.done.total() + 20
            this.until(lambda: (this.load(), this.journal.done.total() >= goal)[1], "progress")  # noqa: B023
            time.sleep(this.luck.uniform(0, 0.1))
            me = this.wire.client.client_id()
            for client in this.wire.client.client_list():
                if int(client["id"]) != me:
                    this.wire.client.client_kill_filter(_id=client["id"])
            this.without_publisher()
        this.settle()
        assert this.wire.standing() == set()
        assert set(this.journal.done) == set(range(this.submitted))
