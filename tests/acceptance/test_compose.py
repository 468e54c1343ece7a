"""docker-compose.yml on a real engine: rights, kills, scaling under load, secrets."""

import json
import re
import subprocess
import time
from base64 import b64encode
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import OUTCOMES
from tests.conftest import until
from tests.support.engine import docker, engine_or_skip, kill_main, main_pid
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow
CONTAINERS = ("redis", "cpu", "io", "flower")


@contextmanager
def ledger_of(project):
    """The ledger of a project's server, from the host; it waits for one that restarts."""
    with connect(project.url(), OUTCOMES) as client:
        yield Ledger(client, load({}))


def info(ledger, name):
    state = ledger.state(name)
    return BatchInfo.from_fields(name, state) if state else None


def inspected(project, service):
    return json.loads(docker("inspect", *project.containers(service)).stdout)[0]


def workers_of(project, number):
    with ledger_of(project) as ledger:
        until(lambda: len(WorkerRegistry(ledger.client, ledger.settings).workers()) == number, 120, f"{number} workers")


def test_without_secrets_one_line_names_the_command(tmp_path):
    engine_or_skip()
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [
        "docker",
        "compose",
        "-f",
        str(PROJECT / "docker-compose.yml"),
        "--project-directory",
        str(tmp_path),
        "up",
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "run `make secrets` first" in line


@pytest.mark.parametrize("service", CONTAINERS)
def test_containers_have_no_more_rights_than_they_need(compose, service):
    details = inspected(compose, service)
    host = details["HostConfig"]
    assert (host["CapDrop"], host["ReadonlyRootfs"], host["Privileged"]) == (["ALL"], True, False)
    assert "no-new-privileges:true" in host["SecurityOpt"]
    status = docker("exec", details["Id"], "cat", "/proc/1/status").stdout
    rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in rows["Uid"].split()
    assert int(rows["CapEff"], 16) == int(rows["CapBnd"], 16) == 0
    assert docker("exec", details["Id"], "sh", "-c", "echo > /x", check=False).returncode != 0
    published = [
        binding for bindings in (details["NetworkSettings"]["Ports"] or {}).values() for binding in bindings or []
    ]
    assert {binding["HostIp"] for binding in published} == ({"127.0.0.1"} if service == "flower" else set())


def test_the_image_is_small_and_our_code_is_its_last_layer(image):
    details = json.loads(docker("inspect", image).stdout)[0]
    assert details["Size"] < 250e6
    assert details["Config"]["StopSignal"] == "SIGTERM"
    newest = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout.splitlines()[0]
    assert newest.startswith("COPY /code /code")


def test_ten_thousand_items_survive_the_deaths_of_a_worker_and_of_redis(compose):
    workers_of(compose, 3)
    command = [
        "docker",
        "compose",
        "run",
        "--rm",
        "-T",
        "producer",
        "run",
        "fibonacci",
        "--from",
        "-",
        "--name",
        "many",
    ]
    items = "".join(f"{18 + i % 5}\n" for i in range(10_000))
    with subprocess.Popen(
        command, env=compose.environ, cwd=PROJECT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as producer, ledger_of(compose) as ledger:  # fmt: skip
        producer.stdin.write(items)
        producer.stdin.close()
        producer.stdin = None
        for number, service in ((500, "cpu"), (3000, "redis")):
            until(
                lambda many=number: (batch := info(ledger, "many")) and batch.succeeded > many, 240, f"{number} items"
            )
            victim = compose.containers(service)[0]
            before = main_pid(victim)
            kill_main(victim)
            until(lambda old=before, one=victim: main_pid(one) not in (0, old), 60, f"{service} again")
            assert info(ledger, "many").left > 0
        out, err = producer.communicate(timeout=300)
        assert producer.returncode == 0, err
        end = info(ledger, "many")
    assert (end.submitted, end.succeeded, end.left) == (10_000, 10_000, 0)
    assert sorted(json.loads(line)["index"] for line in out.splitlines()) == list(range(10_000))


def test_a_worker_that_is_stopped_drains(compose, place):
    environ = {"GRISTMILL_REDIS_URL": compose.url()}
    with ledger_of(compose) as ledger:
        place.run("submit", "pause", *["3"] * 10, "--name", "slow", **environ).good()
        fleet = WorkerRegistry(ledger.client, ledger.settings)
        until(lambda: any(w.busy for w in fleet.workers() if w.queue == "io"), what="a busy worker")
        (container, *_) = compose.containers("io")
        docker("stop", container)
        code = docker("inspect", "--format", "{{.State.ExitCode}}", container).stdout.strip()
        docker("start", container)
        until(lambda: info(ledger, "slow").finished, 120, "the end of the batch")
        end = info(ledger, "slow")
    assert (code, end.succeeded, end.duplicates) == ("0", 10, 0)


def test_a_fleet_on_the_host_and_compose_do_not_meet(compose, place):
    with place.up("cpu", "--cpu-slots", "1"):
        place.run("run", "fibonacci", "7", "--name", "here").good()
        compose("run", "--rm", "-T", "producer", "run", "fibonacci", "8", "--name", "there")
        assert place.names() == ["here"]
        (row,) = [row for row in place.run("workers", "--json").rows if row["queue"] == "cpu"]
        with ledger_of(compose) as ledger:
            assert "here" not in ledger.names()
            assert row["name"] not in {
                worker.name for worker in WorkerRegistry(ledger.client, ledger.settings).workers()
            }


def test_a_worker_is_unhealthy_when_it_does_not_answer(compose):
    workers_of(compose, len(compose.containers("cpu")) + len(compose.containers("io")))
    (container, *_) = compose.containers("io")

    def check():
        return docker("exec", container, "python", "-m", "gristmill.worker.health", check=False)

    until(lambda: check().returncode == 0, 60, "a healthy worker")
    # Not the main process, which only waits for it.
    stopped = docker("exec", container, "sh", "-c", "kill -STOP $(cat /proc/1/task/1/children)")
    assert stopped.returncode == 0
    started_at = time.monotonic()
    until(lambda: check().returncode == 1, 60, "an unhealthy worker")
    assert time.monotonic() - started_at > 5
    # After a while the server drops a silent worker from its registry.
    assert re.search(r"the io worker has sent no heartbeat|the server has no worker", check().stderr)
    docker("exec", container, "sh", "-c", "kill -CONT $(cat /proc/1/task/1/children)")
    until(lambda: check().returncode == 0, 60, "a worker that is well again")


def test_no_secret_can_be_seen(compose):
    texts_of = {path.name: path.read_text() for path in compose.secrets.iterdir() if path.name != "redis.acl"}
    # Nobody but the first user has a password of the dashboard here.
    secrets = {name: text for name, text in texts_of.items() if text}
    assert texts_of.keys() - secrets.keys() <= {"dashboard_operators", "dashboard_viewers"}
    texts = {
        "logs": compose("--profile", "tools", "logs").stdout,
        "ps": subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout,
        "config": compose("config").stdout,
    }
    for service in CONTAINERS:
        texts[f"inspect {service}"] = docker("inspect", *compose.containers(service)).stdout
    assert [
        (name, place) for name, text in secrets.items() for place, text_there in texts.items() if text in text_there
    ] == []
    assert compose.secrets.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in compose.secrets.iterdir()}
    # Operators edit the two lists of logins.
    lists = {modes.pop("dashboard_operators"), modes.pop("dashboard_viewers")}
    assert (set(modes.values()), lists) == ({0o444}, {0o644})


def test_the_dashboard_asks_for_its_password(compose):
    address = compose("port", "flower", "5555").stdout.strip()
    assert address.startswith("127.0.0.1:")

    def status(password):
        request = Request(f"http://{address}/")
        if password:
            login = b64encode(f"gristmill:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status
        except HTTPError as error:
            return error.code
        except OSError:
            return 0

    until(lambda: status(None), 60, "the dashboard")
    assert (status(None), status("wrong-password"), status(compose.secret("dashboard_password"))) == (401, 401, 200)
