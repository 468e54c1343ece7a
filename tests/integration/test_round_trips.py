"""How often a page's data asks the server: a slow disk holds up each round trip, and all visitors share a look."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from functools import partial
from threading import Barrier, Event, Thread
from types import SimpleNamespace

import pytest
from celery import Celery
from redis.connection import Connection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as ServerGone
from redis.exceptions import NoPermissionError

from gristmill.dashboard import batches, busy, message_watch, shared_look, throughput, workers
from gristmill.dashboard.application import Dashboard
from gristmill.dashboard.batch_list import BatchList, BatchQuery
from gristmill.dashboard.history import History
from gristmill.dashboard.message_watch import OLD_SECONDS, SEARCH_SECONDS, MessageWatch
from gristmill.dashboard.metric_families import collect
from gristmill.dashboard.shared_look import FRESH_SECONDS, SharedLook
from gristmill.fleet.overview import Observer
from gristmill.fleet.server_cpu import ServerCpu
from tests.support.dashboards import heartbeat, store


class Application:
    """What the pages know of the dashboard's application."""

    def __init__(self, ledger):
        self.observer = Observer(ledger.client, ledger.settings)
        self.history = History(self.observer.meters)
        self.shared_look = SharedLook(self.observer.look)
        self.message_watch = MessageWatch(self.observer, self.shared_look)
        self.server_cpu = ServerCpu()


@dataclass
class Requests:
    """The requests that this process sends to a server: each waits for an answer."""

    sent: list[bytes] = field(default_factory=list)

    def of(self, call):
        """How many `call` sends."""
        self.sent.clear()
        call()
        return len(self.sent)


@pytest.fixture
def requests(monkeypatch):
    seen = Requests()
    for kind in (Connection, UnixDomainSocketConnection):

        def send(connection, command, check_health=True, original=kind.send_packed_command):
            seen.sent.append(command)
            return original(connection, command, check_health)

        monkeypatch.setattr(kind, "send_packed_command", send)
    return seen


@pytest.fixture
def clock(monkeypatch):
    """The clock of the shared looks, which a test moves."""
    seconds = [1_000.0]
    for module in (message_watch, shared_look):
        monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_page_asks_in_few_round_trips(ledger, requests):
    for number in range(5):
        heartbeat(ledger, number)
    store(ledger, "b", 9, failed=2, left=3)
    application = Application(ledger)
    observer, rows = application.observer, BatchList(application.observer)
    pages = {
        "throughput": (lambda: throughput.data(application, "live"), 8),
        "metrics": (lambda: collect(observer, observer.look()), 12),
        "batches": (lambda: rows.page(BatchQuery.of({})), 8),
        "batches, filtered": (lambda: rows.page(BatchQuery.of({"state": ["running"], "sort": ["-left"]})), 8),
        "batch": (lambda: batches.data(observer, "b", -1), 14),
        "busy": (lambda: busy.data(observer), 1),
        "workers": (lambda: workers.data(observer), 2),
    }
    counts = {}
    for name, (call, _) in pages.items():
        # The first answer loads scripts, and reads what is not read again.
        call()
        ledger.client.hincrby(ledger.key("b", "state"), "duplicates", 1)
        application.shared_look = SharedLook(observer.look)
        counts[name] = requests.of(call)
    assert {name: count for name, count in counts.items() if count > pages[name][1]} == {}


def test_all_visitors_of_a_second_share_a_look(ledger, clock, requests):
    heartbeat(ledger, 1)
    store(ledger, "b", 3, left=1)
    application = Application(ledger)
    looks, look = [], application.observer.look
    application.shared_look = SharedLook(lambda: looks.append(clock[0]) or look())
    first = json.loads(throughput.data(application, "live"))
    for name in ("1h", "6h", "24h", "live"):
        answer = json.loads(throughput.data(application, name))
        assert (answer["range"], answer["at"]) == (name, first["at"])
    application.shared_look.make("metrics", partial(collect, application.observer))
    assert requests.of(lambda: throughput.data(application, "1h")) == 0
    assert len(looks) == 1
    # However long nobody has asked.
    for seconds in (FRESH_SECONDS + 0.1, 3_600.0):
        clock[0] += seconds
        before, at = len(looks), application.observer.meters.now()
        assert json.loads(throughput.data(application, "6h"))["at"] >= at
        assert len(looks) == before + 1


def test_all_visitors_of_a_second_share_a_silence(clock):
    looks = []

    def look():
        looks.append(clock[0])
        raise ServerGone("no answer")

    shared = SharedLook(look)
    for _ in range(3):
        with pytest.raises(ServerGone):
            shared.make("live", str)
    assert len(looks) == 1
    clock[0] += FRESH_SECONDS + 0.1
    with pytest.raises(ServerGone):
        shared.make("live", str)
    assert len(looks) == 2


def test_a_silence_while_a_page_is_made_is_shared_too(clock):
    made = []

    def make(overview):
        made.append(overview)
        raise ServerGone("no answer")

    shared = SharedLook(lambda: "a look")
    for name in ("live", "1h"):
        with pytest.raises(ServerGone):
            shared.make(name, make)
    assert made == ["a look"]
    clock[0] += FRESH_SECONDS + 0.1
    assert shared.make("live", str) == "a look"


def test_whoever_waits_for_a_slow_page_gets_it():
    seen, answers, door = [], [], Barrier(6)
    shared = SharedLook(lambda: seen.append("a look"))

    def make(_):
        seen.append("its page")
        time.sleep(FRESH_SECONDS + 0.3)
        return "a slow page"

    def visit():
        door.wait(10)
        answers.append(shared.make("live", make))

    visitors = [Thread(target=visit, daemon=True) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(20)
    assert (seen, answers) == (["a look", "its page"], ["a slow page"] * 6)


def test_a_refusal_is_of_one_page(clock):
    def refuse(_):
        raise NoPermissionError("no right to XLEN")

    shared = SharedLook(lambda: "a look")
    with pytest.raises(NoPermissionError):
        shared.make("metrics", refuse)
    assert shared.make("live", str) == "a look"


@pytest.fixture
def searches(monkeypatch, clock):
    """When each search began, by the clock."""
    began = []

    def orphans(*_):
        began.append(clock[0])
        return [f"found at {clock[0]:.0f}"]

    monkeypatch.setattr(message_watch, "orphans", orphans)
    monkeypatch.setattr(message_watch, "unknown_tasks", lambda *_: [])
    return began


def test_no_visitor_waits_for_a_search_while_somebody_looks(ledger, clock, searches):
    watch = Application(ledger).message_watch
    watch.renew()
    assert searches == [], "a search that nobody asked for"
    watch.look()
    by_visitors, first = [], clock[0]
    for _ in range(300):
        clock[0] += 1
        watch.renew()
        before = len(searches)
        watch.look()
        by_visitors += searches[before:]
    assert by_visitors == []
    assert searches == [first + n * SEARCH_SECONDS for n in range(11)]


def test_no_visitor_waits_while_a_search_goes_on(ledger, clock, monkeypatch):
    watch, answers = Application(ledger).message_watch, []

    def orphans(*_):
        if answers:
            visitor = Thread(target=lambda: answers.append(watch.look()), daemon=True)
            visitor.start()
            visitor.join(10)
        return [f"search {len(answers)}"]

    monkeypatch.setattr(message_watch, "orphans", orphans)
    answers.append(watch.look())
    clock[0] += SEARCH_SECONDS - 1
    answers.append(watch.look())
    clock[0] += 1
    watch.renew()
    assert answers == [(["search 0"], [])] * 3
    assert watch.look() == (["search 3"], [])


def test_what_a_search_found_is_never_old(ledger, clock, searches):
    watch = Application(ledger).message_watch
    watch.look()
    for _ in range(600):
        clock[0] += 1
        watch.renew()
    # Where nobody looks, nobody searches.
    assert len(searches) == 1
    assert watch.look() == ([f"found at {clock[0]:.0f}"], [])
    clock[0] += OLD_SECONDS - 1
    assert searches[-1] == clock[0] - OLD_SECONDS + 1
    watch.look()
    assert len(searches) == 2


def test_metrics_wait_for_no_search(ledger, monkeypatch):
    application, began, ends = Application(ledger), Event(), Event()
    monkeypatch.setattr(message_watch, "orphans", lambda *_: [began.set(), ends.wait(60)][:0])
    ask = partial(application.shared_look.make, "metrics", partial(collect, application.observer))
    visitor = Thread(target=throughput.data, args=(application, "live"), daemon=True)
    scraper = Thread(target=ask, daemon=True)
    visitor.start()
    assert began.wait(10)
    scraper.start()
    scraper.join(10)
    waits = [thread.is_alive() for thread in (visitor, scraper)]
    ends.set()
    for thread in (visitor, scraper):
        thread.join(10)
    assert waits == [True, False]


def test_samples_wait_for_no_search(monkeypatch):
    monkeypatch.setattr("gristmill.dashboard.application._SAMPLE_MS", 10)
    samples, began, ends = [], Event(), Event()

    async def run():
        dashboard = Dashboard(capp=Celery(set_as_current=False))
        dashboard.observer = SimpleNamespace(sample=lambda: samples.append(began.is_set()), client=None)
        dashboard.server_cpu = SimpleNamespace(look=lambda client: None)
        dashboard.message_watch = SimpleNamespace(renew=lambda: began.set() or ends.wait(60))
        for each in dashboard.heartbeats:
            each.start()
        deadline = time.monotonic() + 10
        while samples.count(True) < 3 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        for each in dashboard.heartbeats:
            each.stop()
        ends.set()

    asyncio.run(run())
    assert samples.count(True) >= 3, "the samples wait"
