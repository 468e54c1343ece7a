"""What pages say: a count of one is singular on each, and a page whose answers are slow stays calm."""

import re

import pytest
from redis import Redis

from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from tests.support.dashboards import dashboard, heartbeat, store
from tests.support.routes import addresses
from tests.support.servers import redis_server, running

#: A count of one before several things, or before what several do.
WRONG = re.compile(
    r"\b1 (?:[a-z]+ )?(?:items|slots|cores|machines|batches|workers|tasks|messages|errors|hosts|queues|attempts)\b"
    r"|\b1 (?:[a-z]+ )*[a-z]+ (?:are|wait|run)\b"
)
#: Holds each answer up for longer than a page waits before it says so, and notes what the page says.
SLOW = """
(() => {
  const real = window.fetch, status = document.getElementById("status");
  window.said = [], window.answers = 0;
  window.fetch = async (...all) => {
    await new Promise((go) => setTimeout(go, 1800));
    const answer = await real(...all);
    window.answers += 1;
    return answer;
  };
  new MutationObserver(() => window.said.push(status.textContent)).observe(status, { childList: true });
})()
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A ledger with one of everything, and a dashboard of it."""
    path = tmp_path_factory.mktemp("words")
    with (
        running(redis_server(), path / "server") as server,
        Redis.from_url(server.url, decode_responses=True) as client,
        dashboard(server.url, FLOWER_INSPECT_TIMEOUT="50") as pages,
    ):
        ledger = Ledger(client, load({}))
        store(ledger, "again", 1, failed=1)
        Control(client, ledger.settings).retry("again")
        store(ledger, "failed", 1, failed=1)
        store(ledger, "held", 1, left=1)
        yield ledger, pages


def one_worker(ledger):
    """The one that stands, with one slot and one core."""
    heartbeat(ledger, 0, cores=1, machine_cores=1, slots=1, busy=1)


def test_one_is_singular_on_every_page(page, shown):
    ledger, pages = shown
    texts = {}
    for address in addresses(("failed", "cpu@host-00", "0")):
        one_worker(ledger)
        code, _, headers = pages.ask(address, Accept="text/html")
        if code == 200 and headers.get_content_type() == "text/html":
            page.open(f"{pages.address}{address}")
            if page.run("document.getElementById('status') !== null"):
                page.until("document.getElementById('status').textContent === 'Live'")
            texts[address] = page.run("document.body.innerText")
    assert {"/audit", "/throughput", "/batches", "/batch/failed", "/busy", "/workers"} <= texts.keys()
    assert "1 item" in texts["/audit"]
    assert {address: WRONG.findall(text) for address, text in texts.items() if WRONG.search(text)} == {}


def test_a_page_whose_answers_are_slow_does_not_flicker(page, shown):
    ledger, pages = shown
    one_worker(ledger)
    page.open(f"{pages.address}/batches")
    page.until("document.getElementById('status').textContent === 'Live'")
    page.run(SLOW)
    # It learns from the first one how long they take.
    page.until("window.answers >= 1 && window.said.at(-1) === 'Live'")
    said = page.run("window.said")
    assert len(said) == 2
    page.until("window.answers >= 3 && document.getElementById('status').textContent === 'Live'")
    assert page.run("window.said") == said
