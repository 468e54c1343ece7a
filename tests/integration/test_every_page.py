"""Every address of the dashboard in each state of its server: none ends in a traceback, whatever there is to show."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from redis import Redis

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from tests.conftest import until
from tests.support.dashboards import Dashboard, dashboard, heartbeat, store
from tests.support.roles import roles
from tests.support.routes import addresses, routes
from tests.support.servers import redis_server, running

#: A batch, a worker that does not answer Flower, and what is neither.
NAMES = ("seen", "cpu@host-01", "gone", "0")
#: Flower's API is open, and Flower waits for no worker.
SETTINGS = {"FLOWER_UNAUTHENTICATED_API": "true", "FLOWER_INSPECT_TIMEOUT": "50"}
#: Behind a proxy, and for those who log in.
GUARDED = {"GRISTMILL_DASHBOARD_PASSWORD": "correct horse", "GRISTMILL_DASHBOARD_URL_PREFIX": "mill"}
#: What a stranger gets: a login, a refusal, or no such page or action.
REFUSED = (401, 403, 404, 405)
#: What answers everybody, and tells nothing: a supervisor asks the first, and the second forgets a login.
OPEN = ("/healthcheck", "/logout")
#: Visitors at the same time, and operators who act.
VISITORS, OPERATORS = 12, 20
#: Seconds within which a page says that the server is frozen; a busy machine gets twice as many.
SOON = 2.5


def answers(pages: Dashboard) -> dict[tuple[str, str], int]:
    """The status of each address and each way to ask it."""
    form = pages.form(name="seen", worker="cpu@host-01")

    def asked(path: str) -> dict[str, int]:
        codes = {accept: pages.status(path, Accept=accept) for accept in ("text/html", "application/json")}
        return {**codes, "a form": pages.status(path, form.body, Cookie=form.cookie), "none": pages.status(path, b"")}

    paths = addresses(NAMES)
    with ThreadPoolExecutor(VISITORS) as visitors:
        found = dict(zip(paths, visitors.map(asked, paths), strict=True))
    return {(path, how): code for path, codes in found.items() for how, code in codes.items()}


@contextmanager
def shown(tmp_path, has_work: bool = True, **settings: str) -> Iterator[tuple[object, Dashboard]]:
    """A server, with a batch and a worker or with nothing, and a dashboard."""
    with ExitStack() as stack:
        server = stack.enter_context(running(redis_server(), tmp_path / "server"))
        if has_work:
            ledger = Ledger(stack.enter_context(Redis.from_url(server.url, decode_responses=True)), load({}))
            heartbeat(ledger, 1)
            store(ledger, "seen", 4, failed=1, left=1)
        pages = stack.enter_context(dashboard(server.url, **SETTINGS, **settings))
        pages.ask("/throughput/data")
        yield server, pages


def test_the_addresses_are_those_of_all_routes():
    assert len(routes()) > 50
    assert {"/", "/throughput/data", "/batch/seen/item/0/cancel", "/workers/undrain"} <= {*addresses(NAMES)}
    assert {"/broker", "/api/workers", "/api/task/revoke/seen", "/login/", "/nowhere"} <= {*addresses(NAMES)}


@pytest.mark.parametrize(
    "state",
    [
        {"has_work": False},
        {"GRISTMILL_DASHBOARD_READ_ONLY": "true"},
        {"GRISTMILL_TASK_EVENTS": "true"},
    ],
)
def test_no_address_ends_in_a_traceback(tmp_path, state):
    with shown(tmp_path, **state) as (_, pages):
        # The worker has sent one heartbeat, and is gone ten seconds later.
        code = pages.ask("/worker/cpu@host-01")[0]
        codes = answers(pages)
    assert {asked: code for asked, code in codes.items() if code >= 500} == {}
    assert code == (404 if state == {"has_work": False} else 200)


def test_whoever_has_not_logged_in_sees_nothing_and_changes_nothing(tmp_path):
    paths = addresses(NAMES)
    with shown(tmp_path, **GUARDED) as (_, pages), ThreadPoolExecutor(VISITORS) as visitors:
        stranger = Dashboard(pages.address)
        looks = dict(zip(paths, visitors.map(lambda path: stranger.ask(path)[0], paths), strict=True))
        acts = dict(zip(paths, visitors.map(lambda path: stranger.status(path, b"name=seen"), paths), strict=True))
        codes = answers(pages)
    assert {asked: code for asked, code in codes.items() if code >= 500} == {}
    assert codes["/batch/seen", "text/html"] == 200
    assert {path: code for path, code in looks.items() if code not in REFUSED} == dict.fromkeys(OPEN, 200)
    assert {path: code for path, code in acts.items() if code not in REFUSED} == {}


def test_none_does_for_a_user_that_may_only_read(tmp_path):
    with roles(tmp_path) as served:
        ledger = Ledger(served.admin, load({}))
        heartbeat(ledger, 1)
        store(ledger, "seen", 4, failed=1, left=1)
        with dashboard(served.settings("viewer")["GRISTMILL_REDIS_URL"], **SETTINGS) as pages:
            codes = answers(pages)
    assert {asked: code for asked, code in codes.items() if code >= 500} == {}


def test_none_does_without_a_server(tmp_path):
    paths = addresses(("seen",))
    actions = [path for path in paths if not path.startswith("/api/")]
    with shown(tmp_path) as (server, pages), ThreadPoolExecutor(VISITORS) as visitors:
        form = pages.form(name="seen")
        server.process.kill()
        server.process.wait()
        looks = dict(zip(paths, visitors.map(pages.status, paths), strict=True))
        answered = visitors.map(lambda path: pages.status(path, form.body, Cookie=form.cookie), actions)
        acts = dict(zip(actions, answered, strict=True))
    assert {path: code for path, code in (looks | acts).items() if code >= 500 and code != 503} == {}
    for path in ("/broker", "/batches/data", "/worker/seen", "/api/queues/length", "/api/task/result/seen"):
        assert looks[path] == 503
    assert acts["/batch/seen/retry"] == acts["/batches/cancel"] == 503


def test_each_page_says_soon_that_the_server_is_frozen(tmp_path):
    paths = [path for path in addresses(("seen",)) if not path.startswith("/static")]
    with (
        shown(tmp_path) as (server, pages),
        ThreadPoolExecutor(VISITORS) as visitors,
        ThreadPoolExecutor(OPERATORS) as operators,
    ):

        def ask(path: str) -> tuple[int, float]:
            asked_at = time.monotonic()
            return pages.ask(path)[0], time.monotonic() - asked_at

        form = pages.form()
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            # Those who act wait for the server, and nobody who looks waits for them.
            act = pages.ask, "/batch/seen/pause", form.body
            acts = [operators.submit(*act, Cookie=form.cookie) for _ in range(OPERATORS)]
            until(lambda: all(act.running() for act in acts), what="operators that wait")
            found = dict(zip(paths, visitors.map(ask, paths), strict=True))
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        assert {act.result()[0] for act in acts} <= {200, 503}
    assert {path: code for path, (code, _) in found.items() if code >= 500 and code != 503} == {}
    assert {path: took for path, (_, took) in found.items() if took > 2 * SOON} == {}
    assert found["/batch/seen"][0] == found["/broker"][0] == found["/throughput/data"][0] == 503
