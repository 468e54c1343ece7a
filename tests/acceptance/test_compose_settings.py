"""docker-compose.yml with settings of its own in the environment: another user, a key prefix, a path, a token."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import OUTCOMES
from tests.conftest import until
from tests.support.engine import Compose, docker, engine_or_skip

pytestmark = pytest.mark.slow

#: No user of the image has this number.
USER = "4321:4321"
TOKEN = "a-token-for-metrics"


@pytest.fixture(scope="module")
def shop(image, tmp_path_factory):
    """A project with a worker of each kind and a dashboard."""
    project = Compose(
        tmp_path_factory.mktemp("shop"),
        GRISTMILL_USER=USER,
        GRISTMILL_PREFIX="shop:",
        GRISTMILL_DRAIN_SECONDS="7",
        GRISTMILL_STOP_GRACE_PERIOD="17s",
        GRISTMILL_DASHBOARD_URL_PREFIX="mill",
        GRISTMILL_METRICS_TOKEN=TOKEN,
    )
    try:
        project.scale("flower", cpu=1, io=1)
        yield project
    finally:
        project.down()


def workers(project):
    with connect(project.url(), OUTCOMES) as client:
        return WorkerRegistry(client, load({"GRISTMILL_PREFIX": "shop:"})).workers()


def submit(project, name, **settings):
    command = ["compose", "run", "--rm", "-T", "producer", "run", "fibonacci", "10", "--name", name]
    return docker(*command, env={**project.environ, **settings}).stdout


def test_a_user_that_the_image_does_not_know(shop):
    """Workers, dashboard and producer run as any user, and another user can submit after the first one."""
    until(lambda: len(workers(shop)) == 2, 90, "two workers")
    for service in ("cpu", "io", "flower"):
        (container,) = shop.containers(service)
        assert docker("exec", container, "id", "-u").stdout == "4321\n"
    assert json.loads(submit(shop, "first"))["value"] == 55
    assert json.loads(submit(shop, "second", GRISTMILL_USER="1234:1234"))["value"] == 55
    batches = shop("run", "--rm", "-T", "producer", "batches", "--json").stdout
    submitters = {row["name"]: row["submitted_by"] for row in map(json.loads, batches.splitlines())}
    assert {name: by.partition("@")[0] for name, by in submitters.items()} == {"first": "4321", "second": "1234"}


def test_every_key_has_the_prefix(shop):
    until(lambda: len(workers(shop)) == 2, 90, "two workers")
    with connect(shop.url("worker"), OUTCOMES) as client:
        assert client.exists("shop:gm1:workers") == 1


def test_a_worker_is_stopped_as_the_settings_say(shop):
    (container,) = shop.containers("cpu")
    details = json.loads(docker("inspect", container).stdout)[0]["Config"]
    assert details["StopTimeout"] == 17
    assert "GRISTMILL_DRAIN_SECONDS=7" in details["Env"]


def test_the_dashboard_has_its_path_and_its_token(shop):
    address = shop("port", "flower", "5555").stdout.strip()
    (container,) = shop.containers("flower")

    def status(path, **headers):
        try:
            with urlopen(Request(f"http://{address}/{path}", headers=headers), timeout=30) as answer:
                return answer.status
        except HTTPError as error:
            return error.code
        except OSError:
            return 0

    until(lambda: status("mill/healthcheck"), 60, "the dashboard")
    assert status("mill/metrics") == 401
    assert status("mill/metrics", Authorization=f"Bearer {TOKEN}") == 200
    check = json.loads(docker("inspect", container).stdout)[0]["Config"]["Healthcheck"]["Test"]
    assert docker("exec", container, *check[1:]).returncode == 0


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
