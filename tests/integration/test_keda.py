"""KEDA's arithmetic over a real /metrics, with what kubernetes/keda.yaml says: pods for the items left, from none."""

import math
import re
from collections import Counter

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from tests.conftest import until
from tests.support.dashboards import dashboard
from tests.support.examples import PROJECT
from tests.support.ledger import FIELDS

TOKEN = "a-token-of-the-metrics"
SCALED = {
    thing["metadata"]["name"]: thing["spec"]
    for thing in yaml.safe_load_all((PROJECT / "kubernetes" / "keda.yaml").read_text())
    if thing["kind"] == "ScaledObject"
}


class Keda:
    """What KEDA's `metrics-api` trigger reads from a dashboard, and the pods that follow from it."""

    def __init__(self, pages, token):
        self._pages, self._token = pages, token

    def text(self):
        """The text of the metrics, as KEDA asks for it."""
        return self._pages.ask("/metrics", Authorization=f"Bearer {self._token}")

    def value(self, location):
        """The value at a `valueLocation`; KEDA gives up where there is none, and scales nothing."""
        name, labels = re.fullmatch(r"(\w+)\{(.*)\}", location).groups()
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        code, text, _ = self.text()
        assert code == 200
        families = {family.name: family for family in text_string_to_metric_families(text)}
        (sample,) = [sample for sample in families[name].samples if wanted.items() <= sample.labels.items()]
        return sample.value

    def pods(self, queue):
        """KEDA starts the first pod above `activationTargetValue`; the autoscaler of Kubernetes says how many."""
        spec = SCALED[queue]
        trigger = spec["triggers"][0]["metadata"]
        value = self.value(trigger["valueLocation"])
        if value <= float(trigger["activationTargetValue"]):
            return spec["minReplicaCount"]
        pods = math.ceil(value / float(trigger["targetValue"]))
        return min(max(pods, spec["minReplicaCount"], 1), spec["maxReplicaCount"])


@pytest.fixture(scope="module")
def ledger(server):
    with Redis.from_url(server.url, decode_responses=True) as client:
        yield Ledger(client, load({"GRISTMILL_PREFIX": "keda:"}))


@pytest.fixture(scope="module")
def keda(server, ledger):
    with dashboard(server.url, ledger.settings.prefix, GRISTMILL_METRICS_TOKEN=TOKEN) as pages:
        yield Keda(pages, TOKEN)


def submit(ledger, name, items, queue):
    """A batch of a program that has gone; no worker lives, and none has ever been there."""
    ledger.create(name, "token", {**FIELDS, "queue": queue})
    ledger.append(name, "token", 0, [str(index) for index in range(items)], "sha")
    ledger.end(name, "token", 0)


def test_items_left_start_pods_from_none(ledger, control, keda):
    assert (keda.pods("cpu"), keda.pods("io")) == (0, 0)
    submit(ledger, "one", 1, "cpu")
    # The chunks are no measure: where nobody works, none is handed out.
    until(lambda: keda.pods("cpu") == 1, what="the first pod")
    assert keda.pods("io") == 0
    submit(ledger, "many", 350, "cpu")
    until(lambda: keda.pods("cpu") == 4, what="a pod for each 100 items left")
    submit(ledger, "more", 5_000, "cpu")
    until(lambda: keda.pods("cpu") == SCALED["cpu"]["maxReplicaCount"], what="as many pods as there may be")
    submit(ledger, "waits", 5_001, "io")
    until(lambda: keda.pods("io") == 2, what="pods of the other queue")
    for name in ("one", "many", "more", "waits"):
        control.cancel(name, "test")
    until(lambda: (keda.pods("cpu"), keda.pods("io")) == (0, 0), what="no pods without items left")


def test_paused_items_start_no_pod(ledger, control, keda):
    submit(ledger, "paused", 500, "cpu")
    until(lambda: keda.pods("cpu") == 5, what="five pods")
    control.pause("paused")
    until(lambda: keda.pods("cpu") == 0, what="no pods for what nobody may run")
    control.resume("paused")
    until(lambda: keda.pods("cpu") == 5, what="five pods again")
    control.cancel("paused", "test")
    until(lambda: keda.pods("cpu") == 0, what="no pods without items left")


def test_keda_reads_the_text(keda):
    """Its parser takes each metric once, and a last line that ends."""
    _, text, _ = keda.text()
    names = Counter(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert [name for name, number in names.items() if number > 1] == []
    assert text.endswith("\n")
    assert Keda(keda._pages, "another-token").text()[0] == 401
