"""Connections that break in the middle of a reply: what was on its way comes to its end."""

from collections import Counter

import pytest
from kombu import Exchange, Queue
from redis.exceptions import ConnectionError as RedisConnectionError

from gristmill.broker.scripts import TransportScripts
from tests.conftest import until

#: A rate-limited task of the workers waits in one's memory: this many.
WAITING = 20


@pytest.fixture
def bench(proxied_bench):
    return proxied_bench


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 4)])
def test_a_reply_that_is_cut_costs_nothing(bench, proxy, pool, slots):
    """With a task of three leases running and rate-limited ones waiting in the worker."""
    bench.send(f"mark.delay(1000, 6)\nfor n in range({WAITING}): slowly.delay(n)")
    bench.worker(pool, slots, 20, url=bench.through)
    until(lambda: len(bench.begun()) >= 3, 60, "the long task and some others")
    proxy.cut_next(b"transport_app.mark")
    bench.send("for n in range(100, 120): mark.delay(n)")
    until(lambda: proxy.cuts == 1, what="a cut")
    expected = {1000, *range(WAITING), *range(100, 120)}
    until(lambda: set(bench.done()) == expected and bench.standing() == 0, 60)
    runs = Counter(bench.begun())
    assert runs[1000] == 1
    assert runs.total() == len(expected), "nothing ran twice"
    assert bench.dead() == []


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 4)])
def test_cuts_at_random_lose_nothing(bench, proxy, pool, slots):
    bench.worker(pool, slots, 10, url=bench.through)
    bench.send("for n in range(200): mark.delay(n, 0.02)")
    until(bench.done, 60, "a beginning")
    proxy.cut_often(0.02)
    until(lambda: proxy.cuts >= 5, 60, "cuts")
    proxy.cut_often(0)
    until(lambda: set(bench.done()) == set(range(200)) and bench.standing() == 0, 60)
    assert bench.dead() == []


#: Publishes one task and prints how that went.
PUBLISH = """
from kombu.exceptions import OperationalError
try:
    mark.apply_async((1,), countdown={countdown})
    print("put")
except OperationalError as error:
    print(error)
"""


@pytest.mark.parametrize("countdown", [0, 60])
def test_a_publish_whose_answer_is_cut_is_put_once_and_in_the_end_said_to_be_uncertain(bench, proxy, countdown):
    # The answer of a script that returns nothing.
    answer, code = b"_\r\n", PUBLISH.format(countdown=countdown)

    def put():
        """Messages to run now, and those that wait for their time."""
        return bench.standing(), bench.client.zcard(f"{bench.prefix}gm1:later:q")

    proxy.cut_next(answer)
    assert bench.send(code, bench.through) == "put\n"
    # Celery has sent it once more, and what was to wait waits.
    assert (proxy.cuts, put()) == (1, (0, 1) if countdown else (1, 0))
    proxy.cut_next(answer, times=100)
    said = bench.send(code, bench.through)
    assert "delivery is uncertain" in said
    # All the tries have put it once.
    assert (proxy.cuts > 2, put()) == (True, (0, 2) if countdown else (2, 0))


@pytest.mark.parametrize("countdown", [0, 60])
def test_a_publish_whose_declaration_is_cut_is_put_once(bench, proxy, countdown):
    code = PUBLISH.format(countdown=countdown)
    bench.send(code)
    # The binding is there: the script that notes it answers 0.
    proxy.cut_next(b":0\r\n")
    assert bench.send(code, bench.through) == "put\n"
    assert proxy.cuts == 1
    assert bench.standing() + bench.client.zcard(f"{bench.prefix}gm1:later:q") == 2


def test_a_topic_of_which_one_queue_is_cut_reaches_each_queue_once(bench, monkeypatch):
    """kombu publishes to all of its queues again."""
    call, answers_to_lose = TransportScripts.call, [False, True, False, False]

    def losing(self, name, **arguments):
        answer = call(self, name, **arguments)
        if name == "put" and answers_to_lose.pop(0):
            raise RedisConnectionError("lost")
        return answer

    monkeypatch.setattr(TransportScripts, "call", losing)
    with bench.connect() as connection, connection.Producer() as producer:
        exchange = Exchange("news", "topic")
        queues = [Queue(name, exchange, "#") for name in ("one", "two")]
        producer.publish(1, exchange=exchange, routing_key="k", declare=queues, retry=True)
    assert answers_to_lose == []
    assert [bench.client.xlen(f"{bench.prefix}gm1:q:{queue}:0") for queue in ("one", "two")] == [1, 1]


def test_a_refused_login_is_certain(bench):
    assert "uncertain" not in bench.send(PUBLISH.format(countdown=0), bench.url.replace("://:", "://:not"))
