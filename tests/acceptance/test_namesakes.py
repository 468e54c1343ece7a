"""Two workers of one name, as hosts that were cloned have; and a dashboard on a host without the user's tasks."""

import json
import os
import sys
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from gristmill.fleet.meters import Meters
from gristmill.fleet.registry import WorkerRegistry
from tests.conftest import until
from tests.support.command import Place
from tests.support.servers import free_port

NAPS = '''
"""Work that takes as long as it is told."""

import time

from gristmill.tasks.kinds import cpu


@cpu
def nap(seconds: float) -> float:
    """Sleep in a process."""
    time.sleep(seconds)
    return seconds
'''
SLOTS = (1, 2)


@pytest.fixture
def host(tmp_path):
    """A place whose dashboard is told of a task module that only its workers can import."""
    place = Place(tmp_path, GRISTMILL_TASK_MODULES="naps")
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "naps.py").write_text(NAPS)
    place.modules = {"PYTHONPATH": os.pathsep.join([str(modules), os.environ.get("PYTHONPATH", "")])}
    yield place
    place.deserted()


def worker(host, slots):
    command = [sys.executable, "-P", "-m", "gristmill.worker", "cpu", "--slots", str(slots)]
    return host.started(command, **host.modules)


def submit(host, name, *items):
    host.run("submit", "nap", "--name", name, *items, **host.modules).good()


def test_both_count_both_are_killed_and_doctor_says_how_to_mend_it(host):
    with (
        host.server_only(),
        worker(host, SLOTS[0]) as first,
        worker(host, SLOTS[1]) as second,
        host.ledger() as ledger,
    ):
        registry = WorkerRegistry(ledger.client, ledger.settings)
        until(lambda: len(registry.workers()) == 2, 60, "two workers")
        workers = registry.workers()
        assert len({one.name for one in workers}) == 1
        assert len({one.id for one in workers}) == 2
        assert {one.pid for one in workers} == {first.process.pid, second.process.pid}
        assert all("nap" in one.tasks for one in workers)
        assert int(ledger.client.hget(ledger.settings.key("slots"), "cpu")) == sum(SLOTS)

        submit(host, "long", *["60"] * 9)
        until(lambda: host.busy("cpu") == sum(SLOTS), what="all slots busy")
        host.run("cancel", "long", "--kill").good()
        assert host.ended("long", 20).cancelled == 9
        until(lambda: host.busy("cpu") == 0, what="idle slots")

        submit(host, "short", *["0.2"] * 40)
        assert host.ended("short", 60).succeeded == 40
        assert {result.worker for result in host.results("short")} == {workers[0].name}
        assert {one.id for one in registry.workers()} == {one.id for one in workers}
        until(lambda: sum(one.items for one in registry.workers()) == 40, what="the workers' counts")
        assert all(one.items for one in registry.workers()), "both have worked"
        tasks = {series.task for series in Meters(ledger.client, ledger.settings).totals()}
        assert tasks == {"nap"}, "a chunk is no task of its own"

        rows = [json.loads(line) for line in host.run("doctor", "--json", **host.modules).out.splitlines()]
        (row,) = [row for row in rows if row["check"] == "workers"]
        assert workers[0].name in row["advice"]
        assert str(first.process.pid) in row["advice"]


def fetch(address):
    """The JSON there; nothing while nobody listens."""
    try:
        with urlopen(address) as answer:
            return json.loads(answer.read())
    except URLError:
        return {"workers": []}


def test_the_dashboard_needs_no_module_of_a_users(host):
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-P", "-m", "gristmill.dashboard", "--port", str(port)]
    with host.server_only(), worker(host, 1) as first, worker(host, 1) as second:
        with host.started(command):
            until(lambda: len(fetch(f"{address}/throughput/data")["workers"]) == 2, 60, "two workers")
            submit(host, "short", "0", "0")
            host.ended("short")

            def data():
                answer = fetch(f"{address}/throughput/data")
                return answer if "nap on cpu" in answer["history"]["tasks"] else None

            page = until(data, what="the task's line")
            assert {"task": "nap", "workers": 2, "versions": 1} in page["tasks"]
            assert len({one["id"] for one in page["workers"]}) == 2
            (advice,) = [one for one in page["advice"] if one["level"] == "warning"]
            assert page["workers"][0]["name"] in advice["text"]
            with urlopen(f"{address}/metrics") as answer:
                lines = answer.read().decode().splitlines()
            (series,) = [line for line in lines if line.startswith('gristmill_queue_slots{queue="cpu"')]
            assert float(series.split()[-1]) == 2
        for one in (first, second):
            one.process.terminate()
