"""Large values on real workers: whichever process is killed, each value is read back whole, and no file is left."""

import os
import signal
from pathlib import Path

import pytest

from gristmill.batches.value_sweep import ValueSweep
from gristmill.config.settings import load
from tests.conftest import until
from tests.support.command import Place, first_in_path
from tests.support.large_values import LARGE, files

ROOT = Path(__file__).parents[2]
#: Each batch of so many items has a kill, of a worker or, once, of the server, as soon as one of them has ended.
COUNT, KILLS = 15, 4


@pytest.fixture
def mill(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    place = Place(
        tmp_path / "place",
        GRISTMILL_TASK_MODULES="tests.support.large_values",
        GRISTMILL_DATA_ROOT=str(root),
        GRISTMILL_SHARED_DATA_ROOT="true",
        GRISTMILL_LEASE_SECONDS="2",
        PYTHONPATH=first_in_path(ROOT),
    )
    yield place, root
    place.deserted()


@pytest.mark.slow
def test_values_are_whole_after_kills_of_workers_and_the_server(mill):
    place, root = mill
    with place.up("cpu", "--cpu-slots", "2", in_peace=False):
        for number in range(KILLS):
            name = f"large-{number}"
            items = place.file(name, "".join(f"{LARGE + index}\n" for index in range(COUNT)))
            place.run("submit", "long_text", "--from", items, "--name", name, "--keep-logs", "none").good()
            until(lambda: place.info(name).done, 90, "an item")  # noqa: B023
            victim = place.server().server_pid if number == 2 else place.worker("cpu").pid
            os.kill(victim, signal.SIGKILL)
            info = place.ended(name)
            assert (info.succeeded, info.left) == (COUNT, 0), info
        for number in range(KILLS):
            rows = place.run("results", f"large-{number}", "--json").good().rows
            assert [(row["index"], len(row["value"])) for row in rows] == [(n, LARGE + n) for n in range(COUNT)]
        with place.ledger() as ledger:
            ValueSweep(ledger.client, load(place.environ)).sweep()
            indexes = sorted(int(file.partition("/")[2].partition("-")[0]) for file in files(root))
            assert indexes == sorted(KILLS * [*range(COUNT)])
        for number in range(KILLS):
            place.run("delete", f"large-{number}").good()
        until(lambda: not files(root), 120, "a worker's sweep")
