"""The dashboard before a server without workers: what each page says is what stands there."""

import json
import time
from dataclasses import dataclass
from urllib.parse import parse_qs

import pytest
from redis import Redis

from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.dashboard.batch_list import BatchList, BatchQuery
from gristmill.fleet.overview import Observer
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from tests.conftest import until
from tests.support.dashboards import Dashboard, dashboard, heartbeat, store
from tests.support.ledger import FIELDS
from tests.support.roles import roles

PREFIX = "pages:"
OURS = ("throughput", "batches", "busy", "workers", "tasks", "broker")


@dataclass
class Shown:
    """A dashboard and the ledger of what it shows."""

    ledger: Ledger
    pages: Dashboard

    def names(self, query):
        """The names of the batches on a page of the list."""
        return [batch["name"] for batch in self.pages.json(f"/batches/data?{query}")["batches"]]

    def row(self, name):
        """A batch as its own page has it."""
        return self.pages.json(f"/batch/{name}/data")["batch"]


@pytest.fixture(scope="module")
def shown(server):
    with Redis.from_url(server.url, decode_responses=True) as client:
        ledger = Ledger(client, load({"GRISTMILL_PREFIX": PREFIX}))
        heartbeat(ledger, 1)
        with dashboard(server.url, PREFIX) as pages:
            yield Shown(ledger, pages)


def test_it_opens_on_throughput(shown):
    code, text, _ = shown.pages.ask("/")
    assert code == 200
    assert 'id="throughput"' in text


@pytest.mark.parametrize("page", ["tasks", "broker"])
def test_a_page_of_flower_says_where_the_rest_is(shown, page):
    note = shown.pages.ask(f"/{page}")[1].partition('id="gm-note"')[2].partition("</p>")[0]
    assert 'href="/throughput"' in note


def test_the_list_of_tasks_has_no_note_when_events_fill_it(server):
    with dashboard(server.url, PREFIX, GRISTMILL_TASK_EVENTS="true") as pages:
        assert "gm-note" not in pages.ask("/tasks")[1]


def test_the_live_workers_are_listed(shown):
    heartbeat(shown.ledger, 2, "io", busy=3)
    (worker,) = [one for one in shown.pages.json("/workers/data")["workers"] if one["name"] == "io@host-02"]
    assert (worker["host"], worker["pid"], worker["busy"], worker["slots"]) == ("host-02", 102, 3, 4)
    assert 'id="workers-page"' in shown.pages.ask("/workers")[1]


def test_a_worker_that_does_not_answer_has_a_page(shown):
    heartbeat(shown.ledger, 3)
    code, text, _ = shown.pages.ask("/worker/cpu@host-03")
    assert code == 200
    assert "103" in text
    assert shown.pages.ask("/worker/cpu@nowhere")[0] == 404


@pytest.mark.parametrize("after", ["100000000000000000000", "-2", "x", "1.5", "", "%D9%A3"])
def test_nonsense_is_a_bad_request(shown, after):
    store(shown.ledger, f"after-{abs(hash(after))}", 1)
    code, text, _ = shown.pages.ask(f"/batch/after-{abs(hash(after))}/data?after={after}")
    assert code == 400
    assert "after" in text


@pytest.mark.parametrize("query", ["page=0", "sort=weight", "state=closed", "label=team"])
def test_a_filter_that_makes_no_sense_is_one_too(shown, query):
    code, text, _ = shown.pages.ask(f"/batches/data?{query}")
    assert code == 400
    assert query.partition("=")[0] in text


def test_a_batch_that_is_gone_leads_back(shown):
    code, text, _ = shown.pages.ask("/batch/gone", Accept="text/html")
    assert code == 404
    assert 'href="/batches"' in text
    assert "<" not in shown.pages.ask("/batch/gone/data")[1]


def test_batches_are_filtered_sorted_and_paged(shown):
    labels = json.dumps({"team": "filter"})
    for number in range(60):
        store(
            shown.ledger, f"filter-{number:02}", 2 + number % 3, failed=number % 2, labels=labels, submitted_by="ada@x"
        )
    store(shown.ledger, "filter-other", 3, left=2, labels=labels, task="other", submitted_by="grace@y")
    answer = shown.pages.json("/batches/data?label=team%3Dfilter&sort=name")
    assert (answer["selected"], len(answer["batches"]), answer["batches"][0]["name"]) == (61, 50, "filter-00")
    assert answer["total"] >= 61
    assert len(shown.names("label=team%3Dfilter&sort=name&page=2")) == 11
    assert shown.names("label=team%3Dfilter&page=3") == []
    assert set(shown.names("label=team%3Dfilter&state=failed")) == {f"filter-{n:02}" for n in range(1, 60, 2)}
    assert shown.names("submitted_by=GRACE&text=filter") == ["filter-other"]
    assert shown.names("task=other&label=team%3Dfilter") == ["filter-other"]
    assert shown.names("text=FILTER-07") == ["filter-07"]
    assert shown.names("label=team%3Dfilter&state=running,succeeded&sort=-left")[0] == "filter-other"
    newest = shown.names("")
    assert newest[0] == "filter-other"
    assert newest == shown.names("label=team%3Dfilter")


def test_the_list_follows_what_changes(shown):
    store(shown.ledger, "changing", 2, failed=1)
    assert shown.names("text=changing&state=failed") == ["changing"]
    Control(shown.ledger.client, shown.ledger.settings).retry("changing")
    assert shown.names("text=changing&state=running") == ["changing"]
    shown.ledger.delete("changing")
    assert shown.names("text=changing") == []


def follow(ledger, name, after):
    """A batch of one item that follows others."""
    ledger.create(name, "token", {**FIELDS, "after": after})
    ledger.append(name, "token", 0, ["1"], "sha")
    ledger.end(name, "token", 0)


def test_a_workflow_is_listed(shown):
    store(shown.ledger, "flow-a", 2)
    follow(shown.ledger, "flow-b", "flow-a")
    follow(shown.ledger, "flow-c", "flow-b:ended")
    assert shown.names("workflow=flow-b&sort=created") == ["flow-a", "flow-b", "flow-c"]
    assert shown.names("workflow=flow-b&state=succeeded") == ["flow-a"]
    assert shown.names("workflow=gone") == []


def test_a_workflow_is_paused_retried_and_cancelled_as_one(shown):
    def states():
        return [str(info.state) for info in shown.ledger.infos([f"whole-{part}" for part in "abc"])]

    def may():
        return shown.pages.json("/batch/whole-c/data")["workflow"]["may"]

    store(shown.ledger, "whole-a", 2, failed=1)
    follow(shown.ledger, "whole-b", "whole-a:ended")
    follow(shown.ledger, "whole-c", "whole-b")
    assert states() == ["failed", "running", "waiting"]
    for what, after in (
        ("pause", ["failed", "paused", "paused"]),
        ("resume", ["failed", "running", "waiting"]),
        ("retry", ["running", "running", "waiting"]),
        ("cancel", ["cancelled", "cancelled", "cancelled"]),
    ):
        assert may()[what], what
        code, _ = shown.pages.post(f"/batch/whole-c/workflow/{what}")
        assert (code, states()) == (200, after), what
    assert may() == {"pause": False, "resume": False, "retry": True, "cancel": False}
    assert shown.pages.post("/batch/gone/workflow/cancel")[0] == 404


def test_a_batch_whose_time_is_over_is_not_counted(shown):
    store(shown.ledger, "over", 2)
    before = shown.pages.json("/batches/data")["total"]
    shown.ledger.client.delete(shown.ledger.key("over", "state"))
    shown.ledger.client.zadd(shown.ledger.settings.key("expiring"), {"over": 1})
    assert shown.pages.json("/batches/data")["total"] == before - 1


def test_chosen_batches_are_retried_and_cancelled(shown):
    store(shown.ledger, "choice-a", 3, failed=2)
    store(shown.ledger, "choice-b", 3, failed=1)
    store(shown.ledger, "choice-c", 3, left=2)
    code, text = shown.pages.post("/batches/retry", name="choice-a&name=choice-b&name=choice-c&name=gone")
    assert code == 200
    answer = json.loads(text)
    assert answer["changed"] == 2
    assert [why for why in answer["reasons"] if "choice-c" in why]
    assert [why for why in answer["reasons"] if "gone" in why]
    assert [shown.row(name)["left"] for name in ("choice-a", "choice-b", "choice-c")] == [2, 1, 2]
    code, text = shown.pages.post("/batches/cancel", name="choice-a&name=choice-b&name=choice-c")
    assert (code, json.loads(text)) == (200, {"changed": 3, "reasons": []})
    assert {shown.row(name)["left"] for name in ("choice-a", "choice-b", "choice-c")} == {0}
    assert shown.pages.post("/batches/cancel")[0] == 400


def test_a_worker_is_drained_and_taken_back(shown):
    heartbeat(shown.ledger, 5)
    identity, asked = "cpu@host-05/00000005", shown.ledger.settings.key("wish:cpu@host-05/00000005")
    for what, fields in (("drain", {"drain"}), ("stop", {"drain", "stop"}), ("undrain", set())):
        assert shown.pages.post("/workers/" + what, worker=identity)[0] == 200
        assert set(shown.ledger.client.hgetall(asked)) == fields
    assert shown.pages.post("/workers/drain", worker="cpu@gone/1")[0] == 404
    assert shown.pages.ask("/workers/drain", b"worker=cpu@host-05/00000005")[0] == 403


def test_without_the_token_of_a_page_nothing_happens(shown):
    store(shown.ledger, "guarded", 3, left=2)
    assert shown.pages.ask("/batches/cancel", b"name=guarded")[0] == 403
    assert shown.row("guarded")["left"] == 2


def test_cancelled_items_are_no_work_that_was_done(shown):
    store(shown.ledger, "cut", 4_000, left=3_960)
    Control(shown.ledger.client, shown.ledger.settings).cancel("cut", "by a test")
    row = shown.row("cut")
    assert (row["succeeded"], row["cancelled"], row["left"]) == (40, 3_960, 0)
    assert row["rate"] == pytest.approx(40 / row["seconds"])


def test_the_histogram_has_its_empty_buckets(shown):
    store(shown.ledger, "wide", 2)
    key = shown.ledger.settings.key("batch:wide:meter")
    shown.ledger.client.hset(key, mapping={"r-10": 3, "r5": 1})
    runs = shown.pages.json("/batch/wide/data")["runs"]
    assert [run["items"] for run in runs] == [3, 0, 0, 0, 0, 2, *[0] * 9, 1]
    assert runs[0]["upto"] == pytest.approx(0.01)
    assert runs[-1]["upto"] == pytest.approx(10.0)


def test_equal_errors_stand_together(shown):
    store(shown.ledger, "errors", 40, failed=30)
    answer = shown.pages.json("/batch/errors/errors")
    # Their messages are numbers, which differ.
    (group,) = answer["groups"]
    assert (group["type"], group["items"], group["first"], answer["counted"]) == ("ValueError", 30, 0, 30)
    assert shown.pages.ask("/batch/gone/errors")[0] == 404


def test_starts_ends_and_deaths_of_workers_are_in_the_history(shown):
    for number in (40, 41):
        heartbeat(shown.ledger, number)
    registry = WorkerRegistry(shown.ledger.client, shown.ledger.settings)
    registry.leave("cpu@host-40/00000028")
    registry.leave("cpu@host-40/00000028")
    shown.ledger.client.zincrby(shown.ledger.settings.key("workers"), -11_000, "cpu@host-41/00000029")
    heartbeat(shown.ledger, 1)

    def events():
        found = shown.pages.json("/throughput/data?range=live")["history"]["events"]
        mine = [(event["worker"], event["what"]) for event in found if event["worker"][-2:] in ("40", "41")]
        return mine if len(mine) >= 4 else None

    assert until(events) == [
        ("cpu@host-40", "start"),
        ("cpu@host-41", "start"),
        ("cpu@host-40", "end"),
        ("cpu@host-41", "death"),
    ]


def test_5000_batches_cost_little(client):
    """By the CPU of this process: by the clock, a busy machine would fail it."""
    state = {**FIELDS, "stored": 9, "created": 1, "input_ended": 1, "finished": 2}
    with client.pipeline(transaction=False) as pipe:
        for number in range(5_000):
            outcome = {"succeeded": 9 - number % 3, "failed": number % 3}
            pipe.hset(f"many:gm1:batch:b-{number:04}:state", mapping={**state, **outcome})
            pipe.zadd("many:gm1:batches", {f"b-{number:04}": number})
        pipe.execute()
    batches, seconds = BatchList(Observer(client, load({"GRISTMILL_PREFIX": "many:"}))), {}
    for query in ("sort=-failed", "", "state=failed", "text=b-49", "page=100", "state=failed&page=60&sort=name"):
        before = time.process_time()
        answer = batches.page(BatchQuery.of(parse_qs(query)))
        seconds[query] = time.process_time() - before
        assert answer["total"] == 5_000
    assert answer["selected"] == 3_333
    assert [batch["name"] for batch in answer["batches"]][:2] == ["b-4426", "b-4427"]
    # The first one that filters or sorts reads them all.
    assert seconds.pop("sort=-failed") < 0.4
    assert max(seconds.values()) < 0.1


def test_a_server_that_is_down_is_not_healthy(tmp_path):
    with PrivateServer(Home(tmp_path / "home"), load({})) as own, dashboard(own.url) as pages:
        assert pages.ask("/healthcheck")[:2] == (200, "OK")
        own.stop()
        code, text, _ = pages.ask("/healthcheck")
        assert code == 503
        assert own.url not in text
        for page in OURS[:4]:
            assert pages.ask(f"/{page}")[0] == 200


def test_a_viewer_can_only_look(tmp_path):
    with roles(tmp_path) as served:
        ledger = Ledger(served.admin, load({}))
        heartbeat(ledger, 1)
        store(ledger, "seen", 4, failed=1, left=1)
        with dashboard(served.settings("viewer")["GRISTMILL_REDIS_URL"]) as pages:
            for page in (*OURS, "batch/seen", "worker/cpu@host-01"):
                # On a busy machine, it would be silent for too long meanwhile.
                heartbeat(ledger, 1)
                code, text, _ = pages.ask(f"/{page}")
                assert code == 200
                assert 'method="post"' not in text
            for path in (
                "/throughput/data",
                "/batches/data?state=running",
                "/batch/seen/data",
                "/batch/seen/errors",
                "/busy/data",
                "/workers/data",
                "/metrics",
                "/healthcheck",
            ):
                assert pages.ask(path)[0] == 200
            for path in (
                "/batch/seen/retry",
                "/batch/seen/workflow/cancel",
                "/batches/cancel",
                "/batch/seen/item/0/cancel",
                "/schedule/x/run",
                "/workers/drain",
            ):
                assert pages.post(path, name="seen")[0] == 403
