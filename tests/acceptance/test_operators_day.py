"""An operator's day on the engine: own tasks, own user, advice that is followed, a viewer, another host, a reboot."""

import base64
import json
import shlex
import subprocess
import time
from contextlib import closing
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import OUTCOMES
from tests.conftest import until
from tests.support.command import Place
from tests.support.engine import Compose, docker
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow

TASKS = '''
import os
import time

from gristmill import io


@io
def errand(seconds: float) -> int:
    """Take so many seconds, and say who did."""
    time.sleep(seconds)
    return os.getuid()
'''
#: Of each container.
SLOTS = 4
USER, TASK_MODULES = "4321:4321", "errands"
OPERATOR, VIEWER = ("ann", "battery staple"), ("bo", "only looking")


@pytest.fixture
def bridge(image):
    (network,) = json.loads(docker("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"]
    return network["Gateway"]


@pytest.fixture
def central(bridge, image, tmp_path):
    """Redis, with TLS for other hosts too, the dashboard and an io container with four slots."""
    settings = {"GRISTMILL_IO_SLOTS": str(SLOTS), "GRISTMILL_USER": USER, "GRISTMILL_TASK_MODULES": TASK_MODULES}
    files = "docker-compose.yml:docker-compose.tls.yml"
    project = Compose(tmp_path / "central", COMPOSE_FILE=files, GRISTMILL_IMAGE=image, **settings)
    (project.path / "modules" / "errands.py").write_text(TASKS)
    for role, (name, password) in {"operators": OPERATOR, "viewers": VIEWER}.items():
        (project.secrets / f"dashboard_{role}").write_text(f"{name}:{password}\n")
    subprocess.run(["sh", PROJECT / "bin" / "certificates", bridge, project.secrets], check=True, capture_output=True)
    try:
        project.scale("redis", "flower", cpu=0, io=1)
        yield project
    finally:
        project.down()


@pytest.fixture
def remote(bridge, central, tmp_path):
    """Another host: it has the password of the worker, the CA's certificate, and the same tasks."""
    url = f"rediss://worker@{bridge}:6380/0?ssl_ca_certs=/run/secrets/ca.pem"
    own = {name: central.environ[name] for name in ("GRISTMILL_IO_SLOTS", "GRISTMILL_USER", "GRISTMILL_TASK_MODULES")}
    image = central.environ["GRISTMILL_IMAGE"]
    files = "docker-compose.worker.yml"
    host = Compose(tmp_path / "remote", COMPOSE_FILE=files, GRISTMILL_REDIS_URL=url, GRISTMILL_IMAGE=image, **own)
    for path in host.secrets.iterdir():
        path.unlink()
    for name in ("redis_worker", "ca.pem"):
        (host.secrets / name).write_bytes((central.secrets / name).read_bytes())
    (host.path / "modules" / "errands.py").write_text(TASKS)
    yield host
    host.down()


class Pages:
    """The dashboard of a project, as somebody who has logged in."""

    def __init__(self, project, login):
        self.address = "http://" + project("port", "flower", "5555").stdout.strip()
        self.headers = {"Authorization": "Basic " + base64.b64encode(":".join(login).encode()).decode()}

    def ask(self, path, data=None, **headers):
        request = Request(self.address + path, data=data, headers={**self.headers, **headers})
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    def json(self, path):
        """The JSON of a path; None while the dashboard is away."""
        try:
            status, text, _ = self.ask(path)
        except OSError:
            return None
        return json.loads(text) if status == 200 else None

    def act(self, path):
        cookie = self.ask("/batches")[2]["Set-Cookie"].partition(";")[0]
        return self.ask(path, f"_xsrf={cookie.partition('=')[2]}".encode(), Cookie=cookie)[0]


def picture(chromium, path, pages, login):
    with closing(chromium.page()) as page:
        page.size(1280, 900)
        page.log_in(*login)
        page.open(f"{pages.address}/throughput")
        page.until("document.getElementById('status').textContent === 'Live'")
        page.picture(path)
    assert path.stat().st_size > 20_000


@pytest.mark.timeout(600)
def test_an_operators_day(central, remote, chromium, tmp_path):
    # The host of the project has none of the tasks.
    place = Place(tmp_path / "place", GRISTMILL_REDIS_URL=central.url())
    with connect(central.url(), OUTCOMES) as client:
        ledger, registry = Ledger(client, load({})), WorkerRegistry(client, load({}))
        until(lambda: len(registry.workers()) == 1, 90, "a worker")
        submit(place, "morning", 1.0, 500)
        pages = Pages(central, OPERATOR)
        until(lambda: pages.json("/throughput/data"), 60, "the dashboard")
        picture(chromium, tmp_path / "before.png", pages, OPERATOR)
        follow_the_advice(central, ledger, registry, pages)
        assert set(done(ledger, place, "morning")) == {4321}

        two_roles(central, place, ledger)

        workers = len(registry.workers())
        remote.scale(cpu=0, io=1)
        until(lambda: len(registry.workers()) == workers + 1, 90, "the worker of the other host")
        submit(place, "evening", 0.5, 600)
        until(lambda: ledger.infos(["evening"])[0].succeeded > 20, 60, "work")
        containers = [one for project in (central, remote) for one in project("ps", "-q").stdout.split()]
        assert len(containers) >= 4
        docker("restart", "--time", "1", *containers)
    # The containers may have other addresses now.
    place.environ["GRISTMILL_REDIS_URL"] = central.url()
    with connect(central.url(), OUTCOMES) as client:
        assert set(done(Ledger(client, load({})), place, "evening")) == {4321}
    again = Pages(central, VIEWER)
    until(lambda: again.json("/throughput/data"), 60, "the dashboard again")
    picture(chromium, tmp_path / "after.png", again, VIEWER)


def submit(place, name, seconds, number):
    stdin = f"{seconds}\n" * number
    place.run("submit", "errand", "--from", "-", "--name", name, stdin=stdin).good()


def done(ledger, place, name):
    """The values of a batch, none of which is lost."""
    (info,) = until(lambda: [one for one in ledger.infos([name]) if one.finished], 180, f"the end of {name}")
    assert (info.succeeded, info.left, info.failed, info.dead) == (info.submitted, 0, 0, 0)
    values = [row["value"] for row in place.run("results", name, "--json").good().rows]
    assert len(values) == info.submitted
    return values


def follow_the_advice(central, ledger, registry, pages):
    """Type what the dashboard says: it brings the slots that it says, each works, and the end comes at its time.

    The simulator of fleets holds that time to 20 %: here other work has its part of the machine.
    """

    def advised():
        data = pages.json("/throughput/data") or {"advice": []}
        return next((one for one in data["advice"] if one["queue"] == "io" and one["command"]), None)

    advice = until(advised, 90, "advice with a command")
    assert shlex.split(advice["command"])[:3] == ["docker", "compose", "up"]
    typed_at = time.monotonic()
    typed = subprocess.run(
        shlex.split(advice["command"]), env=central.environ, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert typed.returncode == 0, typed.stderr
    containers = len(central.containers("io"))
    assert f"io={containers}" in advice["command"]
    assert containers > 1
    until(lambda: sum(one.slots for one in registry.workers()) == containers * SLOTS, 90, "the slots of all containers")
    until(lambda: ledger.infos(["morning"])[0].finished, 240, "the end of the batch")
    took = time.monotonic() - typed_at
    assert 0.75 * advice["seconds"] <= took <= 2 * advice["seconds"]


def two_roles(central, place, ledger):
    """The viewer changes nothing; the operator does, under a name."""
    submit(place, "noon", 0.1, 2000)
    viewer, operator = Pages(central, VIEWER), Pages(central, OPERATOR)
    assert viewer.act("/batch/noon/cancel") == 403
    assert not ledger.infos(["noon"])[0].finished
    assert operator.act("/batch/noon/cancel") == 200
    until(lambda: ledger.infos(["noon"])[0].finished, 60, "the end of a cancelled batch")
    rows = place.run("audit", "--batch", "noon", "--json").good().rows
    assert [(row["by"], row["via"], row["action"]) for row in rows] == [("ann", "dashboard", "cancel")]
