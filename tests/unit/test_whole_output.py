"""The file with all that an item wrote: it appears as a whole, or not at all."""

import logging
import os
import resource

import pytest

from gristmill.config.settings import settings
from gristmill.tasks.data_root import DataRootError
from gristmill.worker.output.whole_output import WholeOutput
from tests.support.grandchildren import in_fork


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(tmp_path))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_it_appears_at_the_end_in_place_of_that_of_another_attempt(tmp_path):
    file = tmp_path / "logs" / "7" / "output"
    for text in (b"first", b"second"):
        output = WholeOutput("logs", 7)
        output.add(text)
        before = file.read_bytes() if file.exists() else None
        output.publish()
        assert (before, file.read_bytes()) in [(None, b"first"), (b"first", b"second")]
    assert os.listdir(file.parent) == ["output"]  # noqa: PTH208


def test_a_directory_outside_the_data_root_is_refused():
    with pytest.raises(DataRootError, match="output_dir"):
        WholeOutput("/etc", 7)


def test_an_item_goes_on_when_its_output_cannot_be_written(tmp_path):
    def run():
        logging.disable()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        output = WholeOutput("logs", 7)
        for _ in range(3):
            output.add(b"x" * 100_000)
        output.publish()
        return os.listdir(tmp_path / "logs" / "7")  # noqa: PTH208

    assert in_fork(run) == "[]"
