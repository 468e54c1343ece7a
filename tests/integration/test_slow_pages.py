"""A page that is slow holds up those who ask for it, and nobody who asks for another one."""

import asyncio
import json
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from types import SimpleNamespace

import pytest
from redis import Redis

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.dashboard import busy, workers
from gristmill.dashboard.asking import Asking
from gristmill.dashboard.batch_list import BatchList, BatchQuery
from gristmill.dashboard.metrics import Metrics
from gristmill.dashboard.pages import BatchesData, FleetData, ThroughputData
from gristmill.dashboard.shared_look import FRESH_SECONDS, SharedLook
from gristmill.fleet.overview import Observer
from tests.conftest import until
from tests.support.dashboards import dashboard, heartbeat, store
from tests.support.ledger import queue_key
from tests.support.proxy import Proxy
from tests.support.servers import redis_server, running

#: More visitors of each slow page than one kind of question has threads.
VISITORS = 20
#: What others ask for meanwhile.
OTHERS = ("/metrics", "/workers/data", "/busy/data", "/audit/data", "/batch/open/data", "/healthcheck")
#: Seconds for which the server keeps a slow request waiting: less than the dashboard waits for it.
SLOW_SECONDS = 1.6
#: Those who call a task and wait for its result, and for how long; more than Flower lets wait at the same time.
APPLIES, APPLY_SECONDS, CALLS_MOST = 8, 4, 5
#: How often a busy machine may be too slow for the test.
TRIES = 5


def ask(page, question, **fields):
    """What a page of that class does to ask a question, in the loop that runs."""
    handler = page.__new__(page)
    handler.application = SimpleNamespace(stale_replica=SimpleNamespace(refuse=lambda client: None))
    handler.request = SimpleNamespace(method="GET")
    vars(handler).update(fields)
    return asyncio.ensure_future(Asking.ask(handler, question))


@pytest.mark.parametrize(
    ("slow", "others"),
    [
        ((ThroughputData, {}), [(Metrics, {}), (BatchesData, {}), (FleetData, {"_data": busy.data})]),
        ((FleetData, {"_data": busy.data}), [(FleetData, {"_data": workers.data}), (ThroughputData, {})]),
    ],
)
def test_questions_of_a_kind_wait_for_none_of_another_kind(here, slow, others):
    begun, end = [], Event()

    async def run():
        asked = [ask(slow[0], lambda: begun.append(1) or end.wait(60), **slow[1]) for _ in range(100)]
        while len(begun) < 16:
            await asyncio.sleep(0.01)
        try:
            for page, fields in others:
                assert await asyncio.wait_for(ask(page, lambda: "soon", **fields), 20) == "soon"
            assert not any(each.done() for each in asked)
        finally:
            end.set()
        await asyncio.gather(*asked)

    asyncio.run(run())


def test_whoever_asks_for_a_page_waits_for_none_that_is_slow():
    shared, began, end, answers = SharedLook(lambda: "a look"), Event(), Event(), []
    slow = Thread(target=shared.make, args=("24h", lambda _: began.set() or end.wait(60)), daemon=True)
    slow.start()
    assert began.wait(10)
    other = Thread(target=lambda: answers.append(shared.make("metrics", str)), daemon=True)
    other.start()
    other.join(10)
    waits = slow.is_alive(), other.is_alive()
    end.set()
    slow.join(10)
    assert (waits, answers) == ((True, False), ["a look"])


def test_a_look_waits_for_no_search_of_batches(ledger, monkeypatch):
    store(ledger, "over", 3)
    store(ledger, "open", 3, left=1)
    observer, began, end = Observer(ledger.client, ledger.settings), Event(), Event()
    batch_list, original = BatchList(observer), Ledger.infos

    def infos(asked, names):
        if "over" in names:
            began.set()
            end.wait(60)
        return original(asked, names)

    monkeypatch.setattr(Ledger, "infos", infos)
    found, seen = Future(), Future()
    query = BatchQuery.of({"text": ["o"]})
    Thread(target=lambda: found.set_result(batch_list.page(query)), daemon=True).start()
    assert began.wait(10)
    Thread(target=lambda: seen.set_result(observer.look()), daemon=True).start()
    try:
        assert [batch.name for batch in seen.result(10).batches] == ["open"]
        assert not found.done()
    finally:
        end.set()
    assert found.result(10)["selected"] == 2


@pytest.fixture
def slowed(tmp_path):
    """A dashboard whose server is behind a proxy; both."""
    with running(redis_server(), tmp_path / "server") as server, Proxy(server.port) as proxy:
        with Redis.from_url(server.url, decode_responses=True) as client:
            ledger = Ledger(client, load({}))
            heartbeat(ledger, 1)
            store(ledger, "over", 4)
            store(ledger, "open", 4, left=1)
        with dashboard(server.url.replace(f":{server.port}", f":{proxy.port}")) as pages:
            yield pages, proxy


def test_no_page_waits_while_a_slow_server_makes_others_slow(slowed):
    pages, proxy = slowed
    for path in OTHERS:
        assert pages.ask(path)[0] == 200
    # Only Throughput asks for the first one, and only a search of all batches for the second one.
    proxy.hold_back(b"worker_events", b"batch:over:state", seconds=SLOW_SECONDS)

    def are_quick() -> bool:
        """Whether all others had their answers while everybody waited."""
        slow = [f"/throughput/data?range={name}" for name in ("live", "1h", "6h", "24h")] + ["/batches/data?text=o"]
        began, old = time.monotonic(), FRESH_SECONDS + 0.1
        until(lambda: time.monotonic() - began > old, what="that nobody gets what was made before")
        with ThreadPoolExecutor(len(slow) * VISITORS) as visitors:
            waiting = [visitors.submit(pages.ask, path) for path in slow * VISITORS]
            until(lambda: all(each.running() or each.done() for each in waiting), what="visitors")
            codes = [pages.ask(path)[0] for path in OTHERS]
            answer = set(codes) == {200} and not any(each.done() for each in waiting)
            assert {each.result()[0] for each in waiting} <= {200, 503}
        return answer

    assert any(are_quick() for _ in range(TRIES))


def test_who_calls_a_task_waits_for_nobody_who_waits_for_a_result(here):
    with (
        dashboard(os.environ["GRISTMILL_REDIS_URL"], here.settings.prefix, FLOWER_UNAUTHENTICATED_API="true") as pages,
        ThreadPoolExecutor(APPLIES) as visitors,
    ):
        # No worker lives: each of them waits for so many seconds.
        waits = json.dumps({"args": [1], "timeout": APPLY_SECONDS}).encode()
        waiting = [visitors.submit(pages.ask, "/api/task/apply/fibonacci", waits) for _ in range(APPLIES)]
        until(lambda: queue_length(here) >= CALLS_MOST, what="the calls")
        status, text, _ = pages.ask("/api/task/send-task/fibonacci", b'{"args": [1]}')
        assert (status, json.loads(text)["state"]) == (200, "PENDING")
        assert not any(each.done() for each in waiting)
    assert {each.result()[0] for each in waiting} == {200}


def queue_length(ledger):
    return ledger.client.xlen(queue_key(ledger, "cpu"))
