"""Containers that come and go under load, by autoscale and by an upgrade: each item succeeds, and runs once."""

import subprocess
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest

from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load
from gristmill.server.connection import connect
from gristmill.server.waiting import OUTCOMES
from tests.conftest import until
from tests.support.command import Place
from tests.support.engine import Compose, docker
from tests.support.examples import PROJECT

pytestmark = pytest.mark.slow

#: Slots of an io container, the most containers, and items of a second: more than MOST containers do in a minute.
SLOTS, MOST, ITEMS = 4, 6, 1500


@contextmanager
def ledger_of(project):
    with connect(project.url(), OUTCOMES) as client:
        yield Ledger(client, load({}))


@pytest.fixture
def project(tmp_path, image):
    """A project of which an io container has four slots."""
    project = Compose(tmp_path / "project", GRISTMILL_IMAGE=image, GRISTMILL_IO_SLOTS=str(SLOTS))
    try:
        project.scale("redis", cpu=0, io=1)
        yield project
    finally:
        project.down()


@pytest.fixture
def place(tmp_path, project):
    """Commands on the host of the project."""
    place = Place(tmp_path, **project.environ | {"GRISTMILL_REDIS_URL": project.url()})
    yield place
    place.deserted()


@pytest.fixture
def submitted(place):
    """Submit pauses to the fleet."""

    def submitted(name, *seconds):
        place.run("submit", "pause", "--from", "-", "--name", name, stdin="\n".join(map(str, seconds))).good()

    return submitted


def ended(ledger, name, seconds):
    (info,) = until(lambda: [one for one in ledger.infos([name]) if one.finished], seconds, f"the end of {name}")
    return info.submitted, info.succeeded, info.duplicates


def test_a_step_load_brings_six_containers_that_drain_before_they_go(project, place, submitted):
    options = ("--target", "60s", "--idle", "5s", "--cpu-slots", "0..0", "--io-slots", f"{SLOTS}..{MOST * SLOTS}")
    with ledger_of(project) as ledger, place.start("autoscale", *options, cwd=PROJECT) as first:
        first.says("as it was found")
        assert len(project.containers("io")) == 1
        with place.start("autoscale", *options, cwd=PROJECT) as second:
            second.says("stands by")
            submitted("step", *[1] * ITEMS)
            until(lambda: len(project.containers("io")) >= 2, 120, "a second container")
            first.process.kill()
            second.says("is gone: this one acts")
            until(lambda: len(project.containers("io")) == MOST, 120, "as many containers as may be")
            assert ended(ledger, "step", 240) == (ITEMS, ITEMS, 0)
            second.says("no item has been left")
            until(lambda: len(project.containers("io")) == 1, 120, "the container of before")


def test_an_upgrade_has_no_pause_and_runs_nothing_twice(project, place, submitted, image):
    new = f"{image}-new"
    docker("build", "--quiet", "--tag", new, "-", input=f"FROM {image}\nLABEL new=1\n")
    try:
        submitted("quick", *[1] * 400)
        submitted("slow", 20, 20)
        with ledger_of(project) as ledger:
            until(lambda: ledger.infos(["quick"])[0].succeeded > 10, 60, "work")
            project.environ["GRISTMILL_IMAGE"] = new
            steps = subprocess.Popen(
                """set -e; old=$(docker compose ps -q io)
                docker compose up -d --no-build --no-deps --no-recreate --scale io=2 io
                hosts=$(docker inspect -f '{{.Config.Hostname}}' $old)
                docker compose run --rm -T producer drain $hosts --max-wait 5m
                docker stop $old; docker rm $old""",
                shell=True,
                env=project.environ,
                cwd=PROJECT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            seen = [ledger.infos(["quick"])[0].left]
            while steps.poll() is None and seen[-1]:
                time.sleep(5)
                seen.append(ledger.infos(["quick"])[0].left)
            _, err = steps.communicate(timeout=300)
            assert steps.returncode == 0, err
            assert len(seen) > 2, seen
            assert all(before > after for before, after in pairwise(seen)), seen
            assert ended(ledger, "quick", 240) == (400, 400, 0)
            assert ended(ledger, "slow", 60) == (2, 2, 0)
        (container,) = project.containers("io")
        assert docker("inspect", "--format", "{{.Config.Image}}", container).stdout.strip() == new
    finally:
        project.down()
        docker("rmi", new, check=False)
