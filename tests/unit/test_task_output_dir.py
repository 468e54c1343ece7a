"""A task's `--output-dir` is tried where the data root is known, and nowhere else."""

import click
import pytest

from gristmill.cli.submission.output_dir import check_below_data_root
from gristmill.config.settings import settings
from gristmill.server.home import Home


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The home of a data root in which the file `taken` stands in the way."""
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(tmp_path))
    (tmp_path / "taken").write_text("")
    settings.cache_clear()
    yield Home(tmp_path / "home")
    monkeypatch.undo()
    settings.cache_clear()


def test_it_is_tried_before_a_server_starts(home):
    with pytest.raises(click.BadParameter):
        check_below_data_root("taken")


def test_it_is_left_to_a_fleet_that_is_starting(home):
    """Its data root is known once its server answers."""
    with home.owned("gristmill up"):
        check_below_data_root("taken")
