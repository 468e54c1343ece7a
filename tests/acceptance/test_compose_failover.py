"""docker-compose.sentinel.yml on a real engine, also with TLS: a batch goes on when the primary is killed."""

import json
import subprocess

import pytest

from tests.conftest import until
from tests.support.engine import Compose, docker
from tests.support.examples import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FILES = ("docker-compose.yml", "docker-compose.sentinel.yml", "docker-compose.sentinel-tls.yml")
SERVERS, SENTINELS = ("redis", "redis-2", "redis-3"), ("sentinel-1", "sentinel-2", "sentinel-3")
#: So many of the items have ended when the primary is killed; all of them take a minute.
ITEMS, EARLY = 1200, 20


@pytest.fixture(params=[2, 3], ids=["plain", "tls"])
def project(request, tmp_path, image):
    files = ":".join(str(PROJECT / name) for name in FILES[: request.param])
    project = Compose(tmp_path / "project", COMPOSE_FILE=files, GRISTMILL_IMAGE=image, GRISTMILL_IO_SLOTS="4")
    if request.param == len(FILES):
        certify = ["sh", PROJECT / "bin" / "certificates", ",".join((*SERVERS, *SENTINELS)), project.secrets]
        subprocess.run(certify, check=True, capture_output=True)
    try:
        project.scale(*SERVERS, *SENTINELS, io=1)
        yield project
    finally:
        project.down()


def command(project, *arguments, **options):
    """A command in a container of its own; it must not start a server again."""
    return project("run", "--rm", "-T", "--no-deps", "producer", *arguments, **options)


def ask(project, sentinel, *question):
    """The lines of a Sentinel's answer."""
    tls = "$([ -e /run/secrets/ca.pem ] && echo --tls --cacert /run/secrets/ca.pem)"
    line = f"REDISCLI_AUTH=$(cat /run/secrets/redis_sentinel) redis-cli {tls} --user sentinel -p 26379"
    shell = ("sh", "-c", f"{line} sentinel {' '.join(question)} mill")
    return project("exec", "-T", sentinel, *shell, check=False).stdout.splitlines()


def primary(project):
    """The server that a Sentinel names."""
    return next(iter(ask(project, "sentinel-2", "get-master-addr-by-name")), "")


def knows_all(project, sentinel):
    """Whether a Sentinel has heard of the other ones and of both replicas; they hear of them every ten seconds."""
    lines = ask(project, sentinel, "master")
    known = dict(zip(lines[::2], lines[1::2], strict=False))
    return (known.get("num-slaves"), known.get("num-other-sentinels")) == ("2", "2")


def test_a_batch_goes_on_when_the_primary_is_killed(project):
    items = "0.2\n" * ITEMS
    submit = ("submit", "pause", "--from", "-", "--name", "waits")
    # Nothing is confirmed before the replicas have begun.
    until(lambda: command(project, *submit, input=items, check=False).returncode == 0, 180, "a submitted batch")
    assert primary(project) == "redis"

    def succeeded():
        done = project("exec", "-T", "io", "gristmill", "batches", "--json", check=False)
        return done.returncode == 0 and json.loads(done.stdout)["succeeded"]

    until(lambda: succeeded() >= EARLY, 60, "some items")
    # Without these, no server may become primary; a replica that they do not know goes on with the old primary.
    until(lambda: all(knows_all(project, each) for each in SENTINELS), 60, "Sentinels that know all")
    docker("kill", *project.containers("redis"))
    # A failover may break off, and Sentinels try the next one after twice their `failover-timeout`.
    until(lambda: primary(project) in SERVERS[1:], 150, "another primary")
    # All replicas confirm what is shown: it comes back as one of them.
    project("start", "redis")
    shown = until(
        lambda: (done := command(project, "results", "waits", "--follow", check=False)).returncode == 0 and done,
        180,
        "all results",
    )
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    assert sorted(row["index"] for row in rows) == list(range(ITEMS))
    assert {row["state"] for row in rows} == {"succeeded"}
    (batch,) = [json.loads(line) for line in command(project, "batches", "--json").stdout.splitlines()]
    assert (batch["submitted"], batch["succeeded"], batch["left"]) == (ITEMS, ITEMS, 0)
    assert primary(project) in SERVERS[1:]
