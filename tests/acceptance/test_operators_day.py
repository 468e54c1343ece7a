"""One fleet through a day of its operator on the engine, and no item lost.

Tasks and a user of one's own, TLS, an operator and a viewer, advice that is followed, a step of load that autoscale
answers from 1 container to 6 and back, another host, an upgrade under load, a restart of every container. `-rP`
shows what took how long, and TEST_PICTURES names a directory that keeps the pictures of before and after.
"""

import json
import logging
import os
import shlex
import subprocess
import time
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import OUTCOMES
from tests.conftest import until
from tests.support.command import Place
from tests.support.dashboards import Dashboard, basic
from tests.support.engine import Compose, docker
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow
log = logging.getLogger(__name__)

TASKS = '''
import os
import time

from gristmill import io


@io
def errand(seconds: float) -> int:
    """Take so many seconds, and say who did; without any, fail."""
    time.sleep(seconds or -1)
    return os.getuid()
'''
#: Of each container; the most containers; items of a second: more than MOST containers do in STEP_SECONDS.
SLOTS, MOST, STEP_SECONDS, STEP = 4, 6, 30, 800
#: Longer than a container that is just stopped lets items run.
LONG = 12
USER, TASK_MODULES = "4321:4321", "errands"
OPERATOR, VIEWER = ("ann", "battery staple"), ("bo", "only looking")


@pytest.fixture
def bridge(image):
    (network,) = json.loads(docker("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"]
    return network["Gateway"]


@pytest.fixture
def newer(image):
    """The image of the version that comes."""
    docker("build", "--quiet", "--tag", f"{image}-new", "-", input=f"FROM {image}\nLABEL new=1\n")
    yield f"{image}-new"
    docker("rmi", f"{image}-new", check=False)


@pytest.fixture
def central(bridge, newer, image, tmp_path):
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
    names = ("GRISTMILL_IO_SLOTS", "GRISTMILL_USER", "GRISTMILL_TASK_MODULES", "GRISTMILL_IMAGE")
    own = {name: central.environ[name] for name in names}
    host = Compose(tmp_path / "remote", COMPOSE_FILE="docker-compose.worker.yml", GRISTMILL_REDIS_URL=url, **own)
    for path in host.secrets.iterdir():
        path.unlink()
    for name in ("redis_worker", "ca.pem"):
        (host.secrets / name).write_bytes((central.secrets / name).read_bytes())
    (host.path / "modules" / "errands.py").write_text(TASKS)
    yield host
    host.down()


class Mill:
    """The batches and workers of a project, from its host, which has none of the tasks."""

    def __init__(self, project, place):
        self.project, self.place, self.url = project, place, project.url()

    @contextmanager
    def client(self):
        with connect(self.url, OUTCOMES) as client:
            yield client

    def workers(self):
        with self.client() as client:
            return WorkerRegistry(client, load({})).workers()

    def batches(self, *names):
        with self.client() as client:
            ledger = Ledger(client, load({}))
            return ledger.infos(names or ledger.names())

    def run(self, *command, **options):
        return self.place.run(*command, GRISTMILL_REDIS_URL=self.url, **options)

    def submit(self, name, *seconds):
        lines = "".join(f"{each}\n" for each in seconds)
        self.run("submit", "errand", "--from", "-", "--name", name, stdin=lines).good()

    def succeeded(self, name, number):
        until(lambda: self.batches(name)[0].succeeded >= number, 90, f"{number} items of {name}")

    def ended(self, name, seconds=180):
        (info,) = until(lambda: [one for one in self.batches(name) if one.finished], seconds, f"the end of {name}")
        return info


class Pages(Dashboard):
    """The dashboard of a project, as somebody who has logged in."""

    def __init__(self, project, user):
        super().__init__("http://" + project("port", "flower", "5555").stdout.strip())
        self.user, self.login = user, basic(*user)

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

    def picture(self, chromium, path):
        until(lambda: self.json("/throughput/data"), 60, "the dashboard")
        with closing(chromium.page()) as page:
            page.size(1280, 900)
            page.log_in(*self.user)
            page.open(f"{self.address}/throughput")
            page.until("document.getElementById('status').textContent === 'Live'")
            page.picture(path)
        assert path.stat().st_size > 20_000


@pytest.mark.timeout(900)
def test_an_operators_day(central, remote, newer, chromium, tmp_path):
    mill, pictures = Mill(central, Place(tmp_path / "place")), Path(os.environ.get("TEST_PICTURES", tmp_path))
    until(lambda: len(mill.workers()) == 1, 90, "a worker")
    mill.submit("morning", *[1] * 500)
    mill.succeeded("morning", 20)
    pages = Pages(central, OPERATOR)
    pages.picture(chromium, pictures / "before.png")
    follow_the_advice(mill, pages)
    roles_and_fewer_containers(mill)
    a_step_of_load(mill)
    another_host(mill, remote)
    an_upgrade(mill, newer)
    restart_everything(mill, remote)
    Pages(central, VIEWER).picture(chromium, pictures / "after.png")

    ends = {info.name: info for info in mill.batches()}
    assert {name: info.submitted for name, info in ends.items() if name != "noon"} == {
        "morning": 500, "step": STEP, "evening": 408, "night": 300,
    }  # fmt: skip
    assert [info for info in ends.values() if info.left] == []
    assert {name: (info.failed, info.dead) for name, info in ends.items() if info.failed + info.dead} == {
        "evening": (4, 0)
    }
    assert {name for name, info in ends.items() if info.cancelled} == {"noon"}
    for name, info in ends.items():
        rows = mill.run("results", name, "--json").rows
        assert len(rows) == info.submitted == info.succeeded + info.failed + info.cancelled + info.dead
        assert {row["value"] for row in rows if row["state"] == "succeeded"} == {4321}


def follow_the_advice(mill, pages):
    """Type what the dashboard says: it brings the slots that it says, each works, and the end comes at its time.

    The simulator of fleets holds that time to 20 %: here other work has its part of the machine.
    """

    def advised():
        data = pages.json("/throughput/data") or {"advice": []}
        return next((one for one in data["advice"] if one["queue"] == "io" and one["command"]), None)

    advice = until(advised, 90, "advice with a command")
    command = shlex.split(advice["command"])
    assert command[:3] == ["docker", "compose", "up"]
    typed_at = time.monotonic()
    environ = mill.project.environ
    typed = subprocess.run(command, env=environ, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert typed.returncode == 0, typed.stderr
    containers = len(mill.project.containers("io"))
    assert f"io={containers}" in command
    assert containers > 1
    until(lambda: sum(one.slots for one in mill.workers()) == containers * SLOTS, 90, "the slots of all containers")
    mill.ended("morning", 240)
    took = time.monotonic() - typed_at
    log.warning("advised %s, %.0f s; took %.0f s", advice["command"], advice["seconds"], took)
    assert 0.75 * advice["seconds"] <= took <= 2 * advice["seconds"]


def roles_and_fewer_containers(mill):
    """Containers that go drain first. The viewer changes nothing; the operator does, under a name."""
    mill.submit("noon", *[0.1] * 4000)
    mill.succeeded("noon", 20)
    mill.project.scale(io=1)
    assert len(mill.project.containers("io")) == 1
    assert mill.batches("noon")[0].duplicates == 0
    assert Pages(mill.project, VIEWER).act("/batch/noon/cancel") == 403
    assert not mill.batches("noon")[0].finished
    assert Pages(mill.project, OPERATOR).act("/batch/noon/cancel") == 200
    mill.ended("noon", 60)
    rows = mill.run("audit", "--batch", "noon", "--json").good().rows
    assert [(row["by"], row["via"], row["action"]) for row in rows] == [("ann", "dashboard", "cancel")]


def a_step_of_load(mill):
    """Autoscale brings six containers, over its own death, and takes five away once they have drained."""
    bounds = ("--cpu-slots", "0..0", "--io-slots", f"{SLOTS}..{MOST * SLOTS}")
    command = ("autoscale", "--target", f"{STEP_SECONDS}s", "--idle", "5s", *bounds)
    settings = mill.project.environ | {"GRISTMILL_REDIS_URL": mill.url}

    def containers():
        return len(mill.project.containers("io"))

    with mill.place.start(*command, cwd=PROJECT, **settings) as first:
        first.says("as it was found")
        with mill.place.start(*command, cwd=PROJECT, **settings) as second:
            second.says("stands by")
            mill.submit("step", *[1] * STEP)
            submitted_at = time.monotonic()
            until(lambda: containers() >= 2, 120, "a second container")
            first.process.kill()
            second.says("is gone: this one acts")
            until(lambda: containers() == MOST, 120, "as many containers as may be")
            grown = time.monotonic() - submitted_at
            end = mill.ended("step", 240)
            done = time.monotonic() - submitted_at
            second.says("no item has been left")
            until(lambda: containers() == 1, 120, "the container of before")
    shrunk = time.monotonic() - submitted_at
    log.warning("%s containers after %.0f s, all items after %.0f s, 1 after %.0f s", MOST, grown, done, shrunk)
    assert (end.succeeded, end.duplicates) == (STEP, 0)


def another_host(mill, remote):
    remote.scale(cpu=0, io=1)
    until(lambda: len(mill.workers()) == 2, 90, "the worker of the other host")
    (container,) = remote.containers("io")
    docker("exec", container, "python", "-m", "gristmill.worker.health", "io")
    assert mill.project.secret("redis_worker") not in docker("inspect", container).stdout + remote("logs").stdout


def an_upgrade(mill, newer):
    """Items end all the time, however long they take, and none runs twice."""
    mill.submit("evening", *[LONG] * 4, *[0] * 4, *[1] * 400)
    mill.succeeded("evening", 20)
    mill.project.environ["GRISTMILL_IMAGE"] = newer
    steps = subprocess.Popen(
        """set -e; old=$(docker compose ps -q io)
        docker compose up -d --no-build --no-deps --no-recreate --scale io=2 io
        hosts=$(docker inspect -f '{{.Config.Hostname}}' $old)
        docker compose run --rm -T producer drain $hosts --max-wait 5m
        docker stop $old; docker rm $old
        docker compose up -d --no-build --no-deps flower""",
        shell=True,
        env=mill.project.environ,
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    left = [mill.batches("evening")[0].left]
    while steps.poll() is None and left[-1]:
        time.sleep(5)
        left.append(mill.batches("evening")[0].left)
    _, err = steps.communicate(timeout=300)
    assert steps.returncode == 0, err
    log.warning("items left every 5 s of the upgrade: %s", left)
    assert len(left) > 2
    assert all(before > after for before, after in pairwise(left))
    assert mill.ended("evening").duplicates == 0
    for service in ("io", "flower"):
        (container,) = mill.project.containers(service)
        assert docker("inspect", "--format", "{{.Config.Image}}", container).stdout.strip() == newer


def restart_everything(mill, remote):
    mill.submit("night", *[0.5] * 300)
    mill.succeeded("night", 20)
    containers = [one for project in (mill.project, remote) for one in project("ps", "-q").stdout.split()]
    assert len(containers) == 4
    docker("restart", "--time", "1", *containers)
    # A container may have another address now.
    mill.url = mill.project.url()
    assert mill.batches("night")[0].left
    mill.ended("night")
