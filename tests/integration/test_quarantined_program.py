"""Programs in quarantine that write to folders: nothing is left of one that kills its process."""

import pytest

from gristmill.batches.chunk import Chunk, Item, Work
from gristmill.config.settings import settings
from gristmill.tasks import catalog
from gristmill.worker.slot import quarantine
from gristmill.worker.slot.runner import PROGRAM, run_in_quarantine


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The outcome of a line of a shell, and what is in the folder that it writes to."""
    monkeypatch.setenv("GRISTMILL_COMMANDS", "any")
    monkeypatch.setattr(quarantine, "DEATHS", 2)
    monkeypatch.setattr(quarantine, "PAUSE_SECONDS", 0)
    # Another test may have loaded the tasks of a worker that runs no programs.
    settings.cache_clear()
    catalog.catalog.cache_clear()

    def of(line, limit=0.0):
        command = {"words": ["sh", "-c", line], "output_dir": str(tmp_path)}
        work = Work(Chunk("b", 1, 0, 1), PROGRAM, {"command": command}, "input", 0, 1, [])
        task = catalog.load()[PROGRAM]
        outcome = run_in_quarantine(work, task, "cpu@a", limit, None, Item(7, "x", 1))
        return outcome.state, sorted(path.name for path in tmp_path.iterdir())

    yield of
    settings.cache_clear()
    catalog.catalog.cache_clear()


def test_the_folder_of_a_program_that_kills_its_process_is_deleted(run):
    assert run("echo half; kill -9 $PPID; sleep 60") == ("dead", [])


def test_the_folder_of_a_program_that_ends_stays(run):
    assert run("echo whole") == ("succeeded", ["7"])
