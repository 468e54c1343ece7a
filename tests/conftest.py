"""What tests share: a private server for each test process, a key prefix for each test, and polling."""

import os
import sys
import time
import uuid

import pytest
from redis import Redis

from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer

# Each command that a test runs is a new Python: without bytecode it would compile the whole package first (0.3 s).
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Tests that share a fixture of their module run in one process of pytest-xdist, so that there is one of it."""
    for item in items:
        fixtures = getattr(item, "_fixtureinfo", None)
        definitions = fixtures.name2fixturedefs.values() if fixtures else ()
        if any(each[-1].scope == "module" for each in definitions) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__.rpartition(".")[2]))


def until(condition, seconds=30.0, what="the condition"):
    """Poll until `condition()` is true and answer it; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} was not met within {seconds} s"
        time.sleep(0.02)


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
