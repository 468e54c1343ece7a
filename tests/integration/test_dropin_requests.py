"""Drop-in: what a task sees of its request is what it sees on stock kombu."""

import json
from datetime import UTC, datetime

import pytest

from tests.conftest import until
from tests.support.dropin_bench import DropIn

BENCH = DropIn
ETA = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).isoformat()
CALL = f"tell.apply_async(eta=__import__('datetime').datetime.fromisoformat('{ETA}'), headers={{'tenant': 'x'}})"


def told(bench):
    """What the task said in its first run and in its retry: its headers, its time, the names in its request."""
    bench.worker("threads", 1)
    until(lambda: len(bench.said("told")) == 2, 60, "a retry")
    return [json.loads(text) for text in bench.said("told")]


@pytest.fixture(scope="module")
def stock(server, tmp_path_factory):
    bench = DropIn(server.url, tmp_path_factory.mktemp("stock"), TEST_BROKER=server.url)
    bench.send(CALL)
    yield told(bench)
    bench.close()


@pytest.mark.parametrize("suspect", [False, True])
def test_a_task_sees_nothing_of_ours(bench, stock, suspect):
    (bench.suspects if suspect else bench.send)(CALL)
    first, second = told(bench)
    assert first == stock[0]
    assert first[:2] == [{"tenant": "x"}, ETA]
    # Its time is that of the retry.
    assert (second[0], second[2:]) == (stock[1][0], stock[1][2:])
    assert datetime.fromisoformat(second[1]) > datetime.fromisoformat(ETA)


def test_a_task_sees_no_headers_where_its_sender_has_added_none(bench):
    bench.send("tell.delay()")
    assert [headers for headers, *_ in told(bench)] == [None, None]


@pytest.mark.parametrize(("pool", "times"), [("threads", 1), ("solo", 1), ("prefork", 2)])
def test_a_process_decodes_a_body_once(server, tmp_path, pool, times):
    bench = DropIn(server.url, tmp_path, config={"accept_content": ["json", "counted"]})
    try:
        bench.send("mark.apply_async((1,), serializer='counted')")
        bench.worker(pool, 1)
        bench.ended()
        assert bench.done() == [1]
        decoders = bench.said("decoded")
        assert len(decoders) == len(set(decoders)) == times
    finally:
        bench.close()
