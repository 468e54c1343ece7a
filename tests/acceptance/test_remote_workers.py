"""Workers of another host: docker-compose.worker.yml reaches a Redis over TLS, with a user and a CA file of its own."""

import json
import subprocess

import pytest

from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import OUTCOMES
from tests.conftest import until
from tests.support.engine import Compose, docker, engine_or_skip
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow


@pytest.fixture
def central(image, tmp_path):
    """The host of Redis: nothing else runs there, and its TLS port is published."""
    (bridge,) = json.loads(docker("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"]
    address = bridge["Gateway"]
    project = Compose(tmp_path / "central", COMPOSE_FILE="docker-compose.yml:docker-compose.tls.yml")
    subprocess.run(["sh", PROJECT / "bin" / "certificates", address, project.secrets], check=True)
    try:
        project.scale("redis")
        yield project, address
    finally:
        project.down()


@pytest.fixture
def remote(central, tmp_path):
    """A host with workers: it has the worker's password and the CA's certificate, and no other file."""
    project, address = central
    host = Compose(
        tmp_path / "remote",
        COMPOSE_FILE="docker-compose.worker.yml",
        GRISTMILL_REDIS_URL=f"rediss://worker@{address}:6380/0?ssl_ca_certs=/run/secrets/ca.pem",
    )
    for path in host.secrets.iterdir():
        path.unlink()
    for name in ("redis_worker", "ca.pem"):
        (host.secrets / name).write_bytes((project.secrets / name).read_bytes())
    try:
        host.scale(cpu=1, io=1)
        yield host
    finally:
        host.down()


def test_workers_of_another_host_take_part(central, remote):
    project, address = central
    with connect(project.url(), OUTCOMES) as client:
        until(lambda: len(WorkerRegistry(client, load({})).workers()) == 2, 90, "two workers")
        container, *_ = remote.containers("cpu")
        docker("exec", container, "python", "-m", "gristmill.worker.health", "cpu")
        project("run", "--rm", "-T", "producer", "run", "fibonacci", "20", "21", "--name", "far")
        project("run", "--rm", "-T", "producer", "run", "pause", "0.1", "0.2", "--name", "wide")
    assert address in remote("config").stdout
    secret = (project.secrets / "redis_worker").read_text()
    assert secret not in docker("inspect", container).stdout + remote("logs").stdout


def test_the_files_say_the_same(tmp_path):
    """What stands in two compose files is the same in both."""
    engine_or_skip()
    names = {
        "one": "docker-compose.yml",
        "tls": "docker-compose.yml:docker-compose.tls.yml",
        "far": "docker-compose.worker.yml",
    }
    services = {}
    for name, files in names.items():
        project = Compose(tmp_path / name, COMPOSE_FILE=files, GRISTMILL_REDIS_URL="rediss://worker@host:6380/0")
        project.environ |= {"GRISTMILL_DATA": "/data", "GRISTMILL_TASKS": "/tasks"}
        services[name] = json.loads(project("config", "--format", "json").stdout)["services"]
    here, there = services["one"]["redis"]["command"], services["tls"]["redis"]["command"]
    assert there[: len(here)] == here
    for kind in ("cpu", "io"):
        near, far = services["one"][kind], services["far"][kind]
        assert {name for name in near.keys() | far.keys() if near.get(name) != far.get(name)} == {
            "depends_on",
            "environment",
            "secrets",
        }
        assert near["environment"].keys() == far["environment"].keys()
