"""`/metrics`: what it counts is what happened, and what the alert rules and the Grafana dashboard ask for is there."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from gristmill.batches.control import Control
from gristmill.batches.histogram import bound
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.dashboard.metric_families import FROM, TO
from tests.support.dashboards import dashboard, heartbeat, store
from tests.support.examples import DOCS
from tests.support.ledger import FIELDS, outcomes, pop, submit

PREFIX = "metrics:"
ALERTS, BOARD = DOCS / "prometheus" / "alerts.yml", DOCS / "prometheus" / "grafana.json"
NAME = re.compile(r"gristmill_\w+")


@pytest.fixture(scope="module")
def ledger(server):
    with Redis.from_url(server.url, decode_responses=True) as client:
        yield Ledger(client, load({"GRISTMILL_PREFIX": PREFIX}))


@pytest.fixture(scope="module")
def samples(server, ledger):
    """What `/metrics` says after a few batches: (name, labels) -> value."""
    heartbeat(ledger, 1)
    store(ledger, "good", 10)
    store(ledger, "bad", 10, failed=3)
    store(ledger, "going-on", 10, left=4)
    store(ledger, "cut", 10, left=4)
    Control(ledger.client, ledger.settings).cancel("cut", "by a test")
    ledger.create("gone", "token", FIELDS)
    ledger.client.hset(ledger.key("gone", "state"), "producer_until", 1)
    _retry_and_repeat(ledger)
    ledger.client.xadd(ledger.settings.key("dead"), {"message": "x", "queue": "cpu"})
    with dashboard(server.url, PREFIX) as pages:
        code, text, _ = pages.ask("/metrics")
    assert code == 200
    if promtool := shutil.which("promtool"):
        # It would have us name Flower's metrics otherwise.
        ours = "\n".join(line for line in text.splitlines() if "flower" not in line)
        checked = subprocess.run(
            [promtool, "check", "metrics"], check=False, input=ours + "\n", capture_output=True, text=True
        )
        assert [line for line in checked.stderr.splitlines() if line.startswith("gristmill_")] == []
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def _retry_and_repeat(ledger):
    """An item that fails, and is to run again; and one whose outcome comes twice."""
    while pop(ledger):
        pass
    submit(ledger, "twice", 2, retries=1, task="twice")
    first, second = pop(ledger), pop(ledger)
    ledger.record(first, outcomes(ledger.take(first).items, "failed", retry_ms=60_000), 0.1, "w")
    work = ledger.take(second)
    for _ in range(2):
        ledger.record(second, outcomes(work.items), 0.1, "w")


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


def test_batches_are_counted_by_how_they_ended(samples):
    ended = {
        state: value(samples, "gristmill_batches_ended_total", queue="cpu", task="fibonacci", state=state)
        for state in ("succeeded", "failed", "cancelled")
    }
    assert ended == {"succeeded": 1, "failed": 1, "cancelled": 1}
    assert value(samples, "gristmill_batches", state="abandoned") == 1
    assert value(samples, "gristmill_batches", state="running") == 2
    assert value(samples, "gristmill_batches", state="paused") == 0


def test_items_are_counted(samples):
    items = {"queue": "cpu", "task": "fibonacci"}
    assert value(samples, "gristmill_items_total", **items, state="succeeded") == 10 + 7 + 6 + 6
    assert value(samples, "gristmill_items_total", **items, state="failed") == 3
    assert value(samples, "gristmill_batch_items", **items, state="left") == 4
    twice = {"queue": "cpu", "task": "twice"}
    assert value(samples, "gristmill_retries_total", **twice) == 1
    assert value(samples, "gristmill_duplicates_total", **twice) == 1


def test_histograms_have_ten_buckets_a_decade(samples):
    bounds = sorted(
        float(dict(labels)["le"])
        for name, labels in samples
        if name == "gristmill_run_seconds_bucket" and dict(labels)["task"] == "fibonacci"
    )
    assert bounds[:-1] == [pytest.approx(bound(number), rel=1e-3) for number in range(FROM, TO + 1)]
    assert bounds[-1] == float("inf")
    run = {"queue": "cpu", "task": "fibonacci"}
    assert value(samples, "gristmill_run_seconds_count", **run) == 32
    assert value(samples, "gristmill_run_seconds_bucket", **run, le="0.07943") == 0
    assert value(samples, "gristmill_run_seconds_bucket", **run, le="0.1") == 32


def test_the_server_is_told_of(samples):
    assert value(samples, "gristmill_dead_letters") == 1
    assert value(samples, "gristmill_server_memory_used_bytes") > 100_000
    assert value(samples, "gristmill_server_aof_bytes") > 0
    (build,) = [dict(labels) for name, labels in samples if name == "gristmill_build_info"]
    assert build["version"]
    assert build["server"].startswith("valkey ")
    assert value(samples, "gristmill_machine_cpu_ratio", machine="host-01") == 0.5


def test_no_label_grows_with_use(samples):
    labels = {(name, label) for name, pairs in samples if name.startswith("gristmill_") for label, _ in pairs}
    assert {label for _, label in labels} <= {"queue", "task", "state", "machine", "le", "version", "python", "server"}


@pytest.mark.parametrize("path", [ALERTS, BOARD], ids=lambda path: path.name)
def test_every_query_names_metrics_that_are_there(samples, path):
    asked = set(NAME.findall(path.read_text()))
    assert len(asked) > 8
    assert asked - {name for name, _ in samples} == set()


def test_the_page_of_the_docs_lists_them_all(samples):
    listed = set(NAME.findall((DOCS / "dashboard.md").read_text()))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in samples if name.startswith("gristmill_")}
    assert families - listed == set()


def test_the_alert_rules_can_be_read():
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    assert len(group["rules"]) >= 6
    for rule in group["rules"]:
        assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "rules", ALERTS], check=True, capture_output=True)


def test_the_board_can_be_read(tmp_path):
    board = json.loads(BOARD.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 15
    for panel in board["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert all(target["datasource"]["uid"] == "${source}" for target in panel["targets"])
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    if promtool := shutil.which("promtool"):
        rules = [{"record": "q", "expr": re.sub(r"\$__\w+", "5m", query)} for query in queries]
        (tmp_path / "rules").write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
        subprocess.run([promtool, "check", "rules", tmp_path / "rules"], check=True, capture_output=True)
