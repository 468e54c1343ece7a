"""Fixtures of the integration tests: a bench on the server of the session, the settings' own server, a home."""

from contextlib import closing

import pytest

from gristmill.config.settings import settings
from gristmill.fleet.watcher import Watcher
from gristmill.worker.slot import quarantine
from gristmill.worker.upkeep.notifier import Notifier
from tests.support.homes import watched_home
from tests.support.leases import end_leases
from tests.support.notices import settings_of
from tests.support.other_workers import Others
from tests.support.proxy import Proxy
from tests.support.set_clock import NOON, set_clock
from tests.support.transport_bench import Bench
from tests.support.website import running_site, says


@pytest.fixture(autouse=True)
def quarantine_ends():
    """The quarantine processes of this process end with the test: each test's tasks and setups begin anew there."""
    yield
    while quarantine._free:
        quarantine._free.pop().close()


@pytest.fixture
def bench(request, server, tmp_path):
    """A key prefix of its own on the server, a producer and workers. A module's BENCH is another class than Bench."""
    with closing(getattr(request.module, "BENCH", Bench)(server.url, tmp_path)) as bench:
        yield bench


@pytest.fixture
def channel(bench):
    """A channel of the transport below the bench's prefix."""
    with bench.connect() as connection:
        yield connection.default_channel
    end_leases()


@pytest.fixture
def quiet(channel, monkeypatch):
    """The channel's lease, which nothing renews but what a test does."""
    monkeypatch.setattr(channel.lease, "keep", lambda queues, _: channel.lease.queues.update(queues))
    return channel.lease


@pytest.fixture
def others(bench, channel):
    """Other workers of the fleet, as the server sees them."""
    others = Others(channel, bench.url)
    with others.stack:
        yield others


@pytest.fixture
def watcher(channel):
    """A watcher in this process, which does nothing by itself."""
    channel.lease.keep(["q"])
    yield Watcher(channel.lease, "w@here/1")
    end_leases()


@pytest.fixture
def here(server, ledger, monkeypatch):
    """The settings' own server; its ledger."""
    monkeypatch.setenv("GRISTMILL_REDIS_URL", server.url)
    monkeypatch.setenv("GRISTMILL_PREFIX", ledger.settings.prefix)
    settings.cache_clear()
    yield ledger
    settings.cache_clear()


@pytest.fixture
def clock(here):
    """The clock of the server, which the test sets."""
    with set_clock(here.client, here.settings, NOON) as clock:
        yield clock


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home that is the settings' own, in which nothing may be left running."""
    with watched_home(tmp_path, monkeypatch) as home:
        yield home


@pytest.fixture
def proxy(server):
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def proxied_bench(server, proxy, tmp_path):
    """Workers reach the server through the proxy, the test itself does not."""
    bench = Bench(server.url, tmp_path)
    bench.through = server.url.replace(f":{server.port}", f":{proxy.port}")
    yield bench
    bench.close()


@pytest.fixture
def site():
    """A web server that takes notices."""
    with running_site() as site:
        site.routes["/token"] = says(b"", 204)
        yield site


@pytest.fixture
def url(site):
    """Where it takes them; the path and what follows are secret."""
    return site.url("/token?key=hidden")


@pytest.fixture
def notifier(here):
    return Notifier(here.client, here.client, settings_of(here))
