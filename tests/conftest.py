"""What tests share: a private server for each test process, a key prefix for each test, and polling."""

import gc
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path

import hypothesis
import psutil
import pytest
from redis import Redis
from xdist.scheduler import LoadScopeScheduling

from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load, settings
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from gristmill.tasks import catalog

# Each command that a test runs is a new Python: without bytecode it would compile the whole package first (0.3 s).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# What is collected stays to the end: Python would search it for garbage while it is made, and again during tests.
gc.disable()
#: Where temporary files have so much room in memory: a server there flushes each write as it does everywhere, but waits
#: for no disk. What a disk loses is for `benchmarks.chaos.power`.
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 6 << 30


def use_memory():
    """Keep temporary files in memory, unless somebody has said where they belong."""
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK):
        about = os.statvfs(MEMORY)
        has_room = about.f_bavail * about.f_frsize > MEMORY_BYTES < psutil.virtual_memory().available
        if has_room and not about.f_flag & os.ST_NOEXEC:
            os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


use_memory()
# How long an example takes depends on what runs beside it.
hypothesis.settings.register_profile("beside others", deadline=None)
hypothesis.settings.load_profile("beside others")


#: The files whose tests share the Docker engine.
ENGINE = {
    f"tests/acceptance/test_{name}.py"
    for name in (
        "compose",
        "compose_failover",
        "compose_settings",
        "containers",
        "operators_day",
        "program_containers",
    )
}
#: Files with long tests that share nothing: any process may run any of them.
APART = {
    f"tests/{name}.py"
    for name in ("acceptance/test_chaos", "acceptance/test_failover", "acceptance/test_kills", "model/test_explorer")
}


#: The units that take longest, by how their names begin.
LONGEST = (
    "tests/acceptance/test_compose.py",
    "tests/acceptance/test_operators_day.py",
    "tests/acceptance/test_install.py",
    "tests/acceptance/test_parallel.py",
    "tests/acceptance/test_power.py",
    "tests/acceptance/test_start_methods.py",
    "tests/acceptance/test_benchmarks.py",
    "tests/acceptance/test_demo.py",
    "tests/acceptance/test_repeated_submit.py",
    "tests/acceptance/test_flat_memory.py",
    "tests/acceptance/zoo/",
    "tests/acceptance/test_tour.py",
    "tests/acceptance/test_bad_items.py",
    "tests/acceptance/test_backpressure.py",
    "tests/integration/test_workflow_faults.py",
    "tests/integration/test_append.py",
    "tests/integration/test_clock_steps.py",
    "tests/integration/test_every_page.py",
    "tests/integration/test_beside_stock.py",
    "tests/integration/test_dropin_control.py",
    "tests/integration/test_dropin_shutdown.py",
    "tests/integration/test_repair.py",
    "tests/integration/test_failover.py",
    "tests/integration/test_submitting.py",
    "tests/integration/test_dead_letters.py",
    "tests/integration/test_transport.py",
    "tests/acceptance/test_later.py",
    "tests/model/",
    "tests/acceptance/test_drain.py",
    "tests/acceptance/test_control.py",
    "tests/acceptance/test_placing.py",
    "tests/acceptance/test_sentinel_users.py",
    "tests/acceptance/test_setup.py",
    "tests/acceptance/test_reload.py",
    "tests/acceptance/test_pages_in_browser.py",
    "tests/integration/test_pools.py",
    "tests/integration/test_watch.py",
    "tests/integration/test_watched_workers.py",
    "tests/integration/test_full_backend.py",
    "tests/acceptance/",
)
#: Files whose tests share the fleet of their process, or its browser: each fleet costs some CPU while it stands idle.
FLEET = {
    f"tests/acceptance/test_{name}.py"
    for name in (
        "bad_input",
        "batches",
        "busy",
        "busy_page",
        "completion",
        "dashboard",
        "dashboard_access",
        "demo",
        "fleet_states",
        "guidance",
        "hops",
        "later",
        "page_words",
        "pages_in_browser",
        "pages_without_server",
        "program_options",
        "programs",
        "repeated_submit",
        "results",
        "terminal",
    )
}
#: Of so many processes one has a fleet for the files of FLEET, and one begins with what is short, from the end.
LANES = 4


class Units(LoadScopeScheduling):
    """One process of pytest-xdist runs all tests of a file, one those of all ENGINE, any one each of those of APART.

    Long tests wait and short ones compute: from the first minute to the last, some of each run side by side. Another
    process takes a file of FLEET only when nothing else is left.
    """

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return nodeid if file in APART else "engine" if file in ENGINE else file

    def _assign_work_unit(self, node):
        lane = int(node.gateway.id.removeprefix("gw")) % LANES
        units = [scope for scope in self.workqueue if (scope in FLEET) == (lane == 0)] or [*self.workqueue]
        self.workqueue.move_to_end(units[-1 if lane == LANES - 1 else 0], last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node):
        # A process needs one test beside the one that it runs; a third would wait for the end of a long one.
        if node.shutting_down or not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Used whatever `--dist` says: pytest-xdist 3.8 loses the groups of `--dist loadgroup` under pytest 9.2."""
    # It would begin with the units that have the most tests.
    config.option.loadscopereorder = False
    return Units(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Begin each process of pytest-xdist with other files: in a fresh clone each compiles some, and not each all."""
    report = yield
    if isinstance(collector, pytest.Directory):
        number, count = (os.environ.get(f"PYTEST_XDIST_WORKER{what}", "gw0") for what in ("", "_COUNT"))
        start = len(report.result) * int(number.removeprefix("gw")) // max(1, int(count.removeprefix("gw")))
        report.result = [*report.result[start:], *report.result[:start]]
    return report


def pytest_collection_modifyitems(items):
    """Begin with what takes longest: begun last, it would run while the other processes have nothing left to do."""
    places = [*LONGEST, ""]

    def turn(item):
        is_short = item.get_closest_marker("slow") is None
        place = next(place for place, name in enumerate(places) if item.nodeid.startswith(name))
        # The same order in each process, whichever files it began with.
        return is_short, place, item.path

    items.sort(key=turn)


def pytest_collection_finish():
    """Search for garbage among what tests make, and not among the tests."""
    gc.freeze()
    gc.enable()


#: Seconds that `until` waits; a test whose guard is taken out fails after them, so `tests/mutants` sets fewer.
PATIENCE = float(os.environ.get("TEST_PATIENCE_SECONDS", "60"))


def until(condition, seconds=PATIENCE, what="the condition"):
    """Poll until `condition()` is true and answer it; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        started_at = time.monotonic()
        answer = condition()
        if answer:
            return answer
        now = time.monotonic()
        assert now < deadline, f"{what} was not met within {seconds} s"
        # Who looks through all processes takes a core from what it waits for if it does so without a break.
        time.sleep(min(0.5, max(0.02, 2 * (now - started_at))))


@pytest.fixture(scope="session", autouse=True)
def shipped_tasks():
    """The tasks that a fresh process knows: otherwise the settings of the first test that asks would say which."""
    catalog.load()
    settings.cache_clear()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A private server, for every test of this process."""
    home = Home(tmp_path_factory.mktemp("home"))
    with PrivateServer(home, load({})) as embedded:
        yield embedded


@pytest.fixture
def client(server):
    """A connection to the server."""
    with Redis.from_url(server.url, decode_responses=True) as connection:
        yield connection


@pytest.fixture
def ledger(client):
    """A ledger below a key prefix of its own."""
    return Ledger(client, load({"GRISTMILL_PREFIX": f"t{uuid.uuid4().hex}:"}))


@pytest.fixture
def control(ledger):
    """The controls of the ledger's batches."""
    return Control(ledger.client, ledger.settings)
