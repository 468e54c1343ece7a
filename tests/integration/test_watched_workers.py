"""The watch over a fleet of real workers: what a dead one held is back long before its lease ends."""

import os
import signal
from contextlib import ExitStack

import psutil
import pytest

from tests.conftest import until
from tests.support.proxy import Proxy

#: Longer than any test: what is back in time is back by the watch alone.
LEASE_SECONDS = "60"


@pytest.fixture
def long_lease(bench):
    bench.environ["GRISTMILL_LEASE_SECONDS"] = LEASE_SECONDS
    return bench


def watched(bench, number):
    """Wait until so many workers are watched by a worker that has seen them."""
    until(lambda: len(bench.client.pubsub_channels(f"{bench.prefix}gm1:alive:*")) == number, what="subscriptions")
    until(lambda: bench.client.hlen(f"{bench.prefix}gm1:consumers") == number, what="the watch")


def consumer_of(bench, worker):
    pids = {name.split(":")[1]: name for name in bench.client.hkeys(f"{bench.prefix}gm1:consumers")}
    return pids[str(worker.pid)]


def holder(bench, workers):
    """The worker that holds a message."""
    groups = bench.client.xinfo_consumers(f"{bench.prefix}gm1:q:q:0", "gm")
    pids = {entry["name"].split(":")[1] for entry in groups if entry["pending"] and entry["name"] != "-"}
    return next(worker for worker in workers if str(worker.pid) in pids)


def busy_one_of_two(bench, pool, seconds):
    """Of two workers the one that runs a task, for so many seconds."""
    workers = [bench.worker(pool, 1) for _ in range(2)]
    watched(bench, 2)
    bench.send(f"mark.delay(1, {seconds})")
    until(bench.begun, what="the task's beginning")
    return holder(bench, workers)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_the_work_of_a_killed_worker_is_back_long_before_its_lease_ends(long_lease, pool):
    bench = long_lease
    victim = busy_one_of_two(bench, pool, 1)
    # Only the worker's main process: what it forked ends with it, and holds no connection of its.
    family = psutil.Process(victim.pid).children(recursive=True)
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: bench.begun() == [1, 1], what="another beginning")
    until(lambda: bench.done() == [1], what="the end")
    until(lambda: not bench.standing())
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_the_work_of_the_only_worker_is_back_soon_after_another_one_starts(long_lease):
    bench = long_lease
    victim = bench.worker("prefork", 1)
    watched(bench, 1)
    bench.send("mark.delay(1, 1)")
    until(bench.begun, what="the task's beginning")
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: not bench.client.pubsub_channels(f"{bench.prefix}gm1:alive:*"), what="the death")
    bench.worker("threads", 1)
    until(lambda: bench.done() == [1], what="the end")
    assert bench.begun() == [1, 1]


def test_a_child_of_a_worker_holds_no_connection_that_is_subscribed(long_lease):
    bench = long_lease
    worker = bench.worker("prefork", 2)
    watched(bench, 1)
    bench.send("die_once.delay(1)")
    until(lambda: bench.done() == [1], what="the second run")
    # The other connections that subscribe are Celery's, for remote control: they make no calls.
    calling = [entry for entry in bench.client.client_list(_type="pubsub") if entry["cmd"].startswith("evalsha")]
    ports = {int(entry["addr"].rpartition(":")[2]) for entry in calling}
    main = psutil.Process(worker.pid)
    own = {link.laddr.port for link in main.net_connections("tcp")}
    assert own & ports
    children = until(lambda: len(main.children()) == 2 and main.children(), what="two pool processes")
    for child in children:
        assert not {link.laddr.port for link in child.net_connections("tcp")} & ports


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_whose_connection_breaks_keeps_its_work(long_lease, pool):
    bench = long_lease
    channel = f"{bench.prefix}gm1:alive:{consumer_of(bench, busy_one_of_two(bench, pool, 3))}"

    def subscribed():
        return bench.client.pubsub_numsub(channel)[0][1]

    for _ in range(6):
        until(subscribed)
        for entry in bench.client.client_list(_type="pubsub"):
            bench.client.client_kill_filter(_id=entry["id"])
    until(lambda: bench.done() == [1], what="the end")
    assert bench.begun() == [1]
    assert bench.client.hlen(f"{bench.prefix}gm1:suspects:q") == 0


def test_a_stopped_worker_keeps_its_work_for_its_lease(long_lease):
    bench = long_lease
    victim = busy_one_of_two(bench, "threads", 0.5)
    os.kill(victim.pid, signal.SIGSTOP)
    bench.send("mark.delay(2, 2.5)")
    until(lambda: bench.done() == [2], what="the other worker's task")
    os.kill(victim.pid, signal.SIGCONT)
    until(lambda: bench.done() == [1, 2], what="the end")
    assert sorted(bench.begun()) == [1, 2]


def test_a_worker_that_cannot_come_back_is_handed_on_and_fenced(long_lease, server):
    """Its network is away for longer than half a second: its message runs twice and is acknowledged once."""
    bench = long_lease
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(server.port)) for _ in range(2)]
        urls = [server.url.replace(f":{server.port}/", f":{proxy.port}/") for proxy in proxies]
        workers = [bench.worker("threads", 1, url=url) for url in urls]
        watched(bench, 2)
        bench.send("mark.delay(1, 5)")
        until(bench.begun, what="the task's beginning")
        number = workers.index(holder(bench, workers))
        proxy = proxies[number]
        # A second later the other one has looked.
        watches = f"{bench.prefix}gm1:watchers", consumer_of(bench, workers[1 - number])
        moment = bench.client.zscore(*watches)
        until(lambda: bench.client.zscore(*watches) != moment, what="a watcher")
        target, proxy._target = proxy._target, 9
        until(lambda: len(bench.begun()) == 2 or proxy.cut_all(), what="another beginning")
        proxy._target = target
        until(lambda: bench.done() == [1, 1], what="both ends")
        refusal = "another worker took message"
        until(lambda: refusal in bench.log(number), what="the refusal of the late acknowledgement")
        until(lambda: bench.standing() == 0, what="the acknowledgement")
