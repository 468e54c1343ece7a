"""Places to run commands in: an empty one for a test, and one with a running fleet for many; a browser."""

import os
import signal
from contextlib import closing
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from tests.conftest import until
from tests.support.browser import browser
from tests.support.command import Place
from tests.support.engine import IMAGE, Compose, docker, engine_or_skip
from tests.support.website import running_site, says

#: The address at which fleets may fetch: another loopback address than `localhost` has.
SITE = "127.0.0.9"

#: Tasks of a user's own, each with a way to go wrong.
TASKS = '''
"""Tasks with ways to go wrong."""

import sys
import time

from gristmill import cpu, io, item


@io
def odd(what: str, size: int = 0):
    """Do what an item says."""
    if what.startswith("say"):
        print(what, end="\\n\\x1b[2J")
        sys.stderr.write("and more\\n")
        return what if what == "say" else sys.exit(1)
    if what == "key":
        return {(1, 2): 3}
    if what == "nan":
        return float("nan")
    if what == "large":
        return "x" * size
    if what == "raise":
        raise LookupError("nothing under [b]this[/b] key\\nsecond line")
    if what == "exit":
        sys.exit(3)
    return what


@cpu
def oddly(what: str, size: int = 0):
    """Do it in a process."""
    return odd.run(what, size)


@cpu
def dawdle(seconds: float):
    """Take so many seconds, and say how far it is."""
    begun_at = time.monotonic()
    while (elapsed := time.monotonic() - begun_at) < seconds:
        item.progress(round(elapsed), seconds, "half-way" if 2 * elapsed > seconds else "")
        time.sleep(0.05)
    return seconds


@io
def idle(seconds: float):
    """Take so many seconds, in a thread."""
    time.sleep(seconds)
    return seconds


@io
def pair(left: int, right: int = 2):
    """Multiply."""
    return left * right
'''


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Ctrl-C works in what is started here, also where a script runs the tests in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def place(tmp_path):
    """A place where nothing runs; nothing may run there after the test either."""
    place = Place(tmp_path)
    yield place
    place.deserted()


@pytest.fixture(scope="session")
def site():
    """A web site that fleets may fetch: `/to?there=URL` redirects there."""

    def redirect(handler):
        says(status=302, location=parse_qs(urlsplit(handler.path).query)["there"][0])(handler)

    with running_site(SITE) as site:
        site.routes |= {"/": says(b"page"), "/page": says(b"page"), "/to": redirect, "/token-9f3": says(status=204)}
        yield site


@pytest.fixture(scope="package")
def fleet(tmp_path_factory):
    """A place with a running `gristmill up`, started in another directory than commands run in.

    It ends with the acceptance tests of its process: a fleet costs some CPU also while nothing uses it.
    """
    path = tmp_path_factory.mktemp("fleet")
    networks = {f"GRISTMILL_{who}_NETWORKS": f"{SITE}/32" for who in ("FETCH", "NOTIFY")}
    place = Place(path, {"oddities": TASKS}, **networks)
    root = path / "root"
    root.mkdir()
    try:
        with place.up("--cpu-slots", "2", "--io-slots", "16", cwd=root) as running:
            place.root, place.owner = root, running
            yield place
    finally:
        place.deserted()


@pytest.fixture
def address(fleet):
    """Where the dashboard of the fleet is."""
    return until(lambda: fleet.server().dashboard).rstrip("/")


@pytest.fixture(scope="package")
def chromium(tmp_path_factory):
    """A browser for the acceptance tests of this process."""
    with browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(chromium):
    """A tab; nothing may have been blocked in it, and no script may have failed."""
    with closing(chromium.page()) as page:
        page.size(1280, 900)
        yield page
        assert page.complaints == []


@pytest.fixture
def unchanged(fleet):
    """The fleet, for a command that must send nothing: no batch may appear."""
    before = set(fleet.names())
    yield fleet
    assert set(fleet.names()) == before


@pytest.fixture
def name():
    """A name for a batch that no other test has."""
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def image():
    """Our image, made from the clone as it is; its layers stay in the engine's cache."""
    engine_or_skip()
    docker("build", "--quiet", "--tag", IMAGE, ".", env={**os.environ, "DOCKER_BUILDKIT": "1"})
    yield IMAGE
    docker("rmi", IMAGE, check=False)


@pytest.fixture(scope="module")
def compose(image, tmp_path_factory):
    """A compose project with two cpu workers and an io worker."""
    project = Compose(tmp_path_factory.mktemp("compose"))
    try:
        project.scale("flower", cpu=2, io=1)
        yield project
    finally:
        project.down()
