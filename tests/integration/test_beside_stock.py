"""Stock Celery beside us on a server, both ways: each side keeps its messages, and passes on what is the other's."""

import os
import signal
from contextlib import ExitStack, closing, suppress
from subprocess import CalledProcessError

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn
from tests.support.neighbours import Fleet, Shop

pytestmark = pytest.mark.slow


@pytest.fixture
def start(server, tmp_path):
    """Makes benches on the server and closes them at the end."""
    with ExitStack() as stack:
        yield lambda kind, *arguments, **options: stack.enter_context(
            closing(kind(server.url, tmp_path, *arguments, **options))
        )


@pytest.fixture
def fleet(start):
    return start(Fleet)


@pytest.fixture
def shop(start, fleet):
    return start(Shop, fleet.prefix)


OURS = """
from gristmill import submit
from gristmill.tasks.fibonacci import fibonacci
fibonacci.delay(5)
submit("fibonacci", [1, 2], name="numbers")
"""


@pytest.mark.parametrize("imports", ["", "1"], ids=["after its first send", "before"])
def test_a_program_that_imports_us_sends_its_own_tasks_as_ever(shop, imports):
    shop.environ["TEST_IMPORTS"] = imports
    shop.worker(TEST_IMPORTS="")
    code = "sell.delay(1); pack.delay(2)\n" + OURS + "sell.delay(3); pack.delay(4)\nassert pack.app is app\n"
    current = shop.send(code + "from celery import current_app; print(current_app.main, sell.delay(5).get(timeout=50))")
    assert current.split() == [shop.app, "5"]
    until(lambda: shop.sold() == [1, 2, 3, 4, 5], 60, "the stock worker")
    assert list(shop.client.scan_iter(f"{shop.prefix}gm1:q:*:0")) == [f"{shop.prefix}gm1:q:cpu:0"]


def test_a_worker_module_that_imports_us_still_consumes_from_stock(shop):
    shop.worker(TEST_IMPORTS="1")
    shop.send("for n in range(10): sell.delay(n); pack.delay(10 + n)")
    until(lambda: shop.sold() == list(range(20)), 60, "the stock worker")
    assert not list(shop.client.scan_iter(f"{shop.prefix}gm1:*"))
    assert "transport:   redis://" in shop.log()
    assert shop.inspect("stats()")["broker"]["transport"] == "redis"


def test_a_stock_worker_on_our_queue_s_name_keeps_its_messages(fleet, shop):
    fleet.worker("cpu")
    shop.send("for n in range(30): sell.apply_async((n,), queue='cpu')")
    assert fleet.run("print(fibonacci.delay(20).get(timeout=60))") == "6765"
    assert shop.client.llen(f"{shop.prefix}cpu") == 30, "nobody of ours has taken one"
    shop.worker("cpu")
    until(lambda: shop.sold() == list(range(30)), 60, "the stock worker")
    assert fleet.run("print(fibonacci.delay(21).get(timeout=60))") == "10946"


def test_control_of_one_app_does_not_reach_the_other_s_workers(fleet, shop):
    ours, theirs = fleet.worker("cpu"), shop.worker()
    shop.ready()
    assert shop.ask("[*map(list, app.control.ping(timeout=3))]") == [["shop0@t"]]
    assert (
        fleet.run("print(*[name.partition('@')[0] for each in app.control.ping(timeout=3) for name in each])") == "cpu"
    )
    with suppress(CalledProcessError):
        # The command reports that nobody has answered.
        shop.celery("control", "shutdown")
    assert theirs.wait(60) == 0
    assert ours.poll() is None
    theirs = shop.worker()
    shop.ready(1)
    fleet.run("app.control.shutdown()")
    assert ours.wait(60) == 0
    assert shop.ask("[*map(list, app.control.ping(timeout=3))]") == [["shop1@t"]]
    assert theirs.poll() is None


@pytest.fixture
def mixed(start, shop):
    """A plain app on our transport that passes messages to stock workers and takes what stock senders put."""
    bench = start(DropIn, options={"stock_queues": ["shop"], "take_lists": True})
    bench.prefix = bench.environ["TEST_PREFIX"] = shop.prefix
    return bench


def test_a_chain_goes_from_stock_to_ours_and_back(mixed, shop):
    mixed.worker()
    shop.worker()
    middle = f"app.signature('{mixed.app}.add', args=(10,), queue='q')"
    assert shop.ask(f"(sell.s(1) | {middle} | sell.s().set(queue='shop')).delay().get(timeout=60)") == 11
    assert shop.sold() == [1, 11]
    last = f"app.signature('{shop.app}.sell', queue='shop')"
    assert mixed.ask(f"(add.s(20, 1) | {last} | add.s(1).set(queue='q')).delay().get(timeout=60)") == 22
    mixed.ended()


def test_inspect_works_both_ways(mixed, shop):
    mixed.worker("threads", 1)
    shop.worker()
    mixed.ready()
    shop.ready()
    for bench in (mixed, shop):
        names = bench.ask("[*map(list, app.control.ping(timeout=30, limit=2))]")
        assert sorted(names) == [["shop0@t"], ["w0@t"]]
        assert bench.ask("sorted(app.control.inspect(timeout=30, limit=2).active_queues())") == ["shop0@t", "w0@t"]


def test_results_by_rpc(server, tmp_path):
    with closing(DropIn(server.url, tmp_path, TEST_BACKEND="rpc://")) as bench:
        bench.worker("threads", 2)
        assert bench.ask("[add.delay(n, 1).get(timeout=50) for n in range(5)]") == [1, 2, 3, 4, 5]
        assert bench.ask("[each.get(timeout=50) for each in [add.delay(n, 1) for n in range(20)]]") == list(
            range(1, 21)
        )


def test_lists_are_taken_and_kills_lose_nothing(mixed, shop):
    """A stock sender with its four priorities; workers are killed while they move and run the messages."""
    count, name = 2000, f"{mixed.app}.mark"
    code = (
        "with app.producer_pool.acquire() as producer, producer.batch(500):\n"
        f"    for n in range({count}):\n"
        f"        app.send_task('{name}', (n,), queue='q', priority=n % 10, producer=producer)"
    )
    for _ in range(3):
        worker = mixed.worker("threads", 4, 4)
        mixed.ready(len(mixed.workers) - 1)
        if len(mixed.workers) == 1:
            shop.send(code)
        done = len(mixed.done())
        until(lambda done=done: len(mixed.done()) >= done + 100, 60, "some work")
        os.killpg(worker.pid, signal.SIGKILL)
    mixed.worker("threads", 10, 4)
    until(lambda: set(mixed.done()) == set(range(count)) and mixed.standing() == 0, 120, "all of them")
    assert len(mixed.done()) - count <= 3 * 4 * 4
    assert mixed.dead() == []


def test_two_fleets_on_a_server_do_not_meet(start):
    fleets = [start(Fleet), start(Fleet)]
    for fleet in fleets:
        fleet.worker("cpu")
    code = "from gristmill import submit\nb = submit('fibonacci', [{}], name='same'); b.wait()\n"
    for number, fleet in enumerate(fleets, 5):
        answer = fleet.run(
            code.format(number) + "print([r.value for r in b.results()], len(app.control.ping(timeout=2)))"
        )
        assert answer == f"[{5 if number == 5 else 8}] 1"
    fleets[0].run("app.control.shutdown()")
    assert fleets[0].workers[0].wait(60) == 0
    assert fleets[1].run("print(fibonacci.delay(7).get(timeout=60))") == "13"
