"""The dashboard while its server is away, frozen, or a replica that has lost its primary: a page says so soon."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.conftest import until
from tests.support.dashboards import dashboard
from tests.support.servers import PASSWORD, free_port, redis_server, running

PATHS = ("/throughput/data", "/batches/data", "/busy/data", "/workers/data", "/metrics")
#: Seconds within which everybody knows that the server is away; a busy machine gets twice as many.
SOON = 2.0


@pytest.fixture
def served(tmp_path):
    """A server, and a dashboard that has read from it."""
    with running(redis_server(), tmp_path / "server", masterauth=PASSWORD) as server, dashboard(server.url) as pages:
        for path in PATHS:
            assert pages.ask(path)[0] == 200
        yield server, pages


def test_every_page_answers_soon_that_the_server_is_gone(served):
    server, pages = served
    server.process.kill()
    server.process.wait()
    until(lambda: pages.ask("/throughput/data")[0] == 503, 10, "the end of an answer that counts for a second")
    with ThreadPoolExecutor(3 * len(PATHS)) as visitors:
        asked_at = time.monotonic()
        answers = list(visitors.map(pages.ask, 3 * PATHS))
        took = time.monotonic() - asked_at
    assert {code for code, _, _ in answers} == {503}
    assert all(str(server.port) in text for _, text, _ in answers)
    assert took < 2 * SOON


def test_a_page_says_soon_that_there_is_no_answer_and_goes_on(page, served):
    server, pages = served
    page.open(f"{pages.address}/batches")
    page.until("document.getElementById('status').textContent === 'Live'")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        # A page asks every two seconds.
        page.until("document.querySelector('.gm-page').classList.contains('gm-stale')", 2 + 2 * SOON)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    page.until("document.getElementById('status').textContent === 'Live'")
    # The browser notes each answer that says so.
    page.complaints.clear()


@pytest.mark.parametrize("path", ["throughput", "batches", "workers"])
def test_a_narrow_page_has_room_for_what_it_says_of_its_server(page, served, path):
    server, pages = served
    page.size(360, 900, phone=True)
    page.open(f"{pages.address}/{path}")
    page.until("document.getElementById('status').textContent === 'Live'")
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        page.until("document.getElementById('status').textContent.includes('The numbers are of')", 2 + 2 * SOON)
        assert page.run("document.documentElement.scrollWidth") == 360
        # So it is for whoever comes now.
        page.open(f"{pages.address}/{path}")
        page.until("document.getElementById('status').textContent.includes('does not answer')", 2 + 2 * SOON)
        assert page.run("document.documentElement.scrollWidth") == 360
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
        page.complaints.clear()


def test_a_replica_that_has_lost_its_primary_is_refused(served, tmp_path):
    _, pages = served
    with (
        running(redis_server(), tmp_path / "primary", repl_diskless_sync_delay=0) as primary,
        Redis.from_url(served[0].url) as replica,
    ):
        replica.replicaof("127.0.0.1", primary.port)
        until(lambda: replica.info("replication")["master_link_status"] == "up", 30, "the link")
        assert pages.ask("/busy/data")[0] == 200
        replica.replicaof("127.0.0.1", free_port())
        until(lambda: {pages.ask(path)[0] for path in PATHS} == {503}, 10, "a refusal")
        assert "127.0.0.1" in pages.ask("/batches/data")[1]
        replica.replicaof("NO", "ONE")
        until(lambda: pages.ask("/batches/data")[0] == 200, 10, "the server that is a primary again")
