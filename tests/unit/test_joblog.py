"""`--joblog`: a file that cannot be written any more is no bad input."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from gristmill.cli.output.joblog import Joblog
from gristmill.errors import GristmillError


def test_a_file_that_is_full_in_the_middle_of_a_run_is_told_by_its_name(tmp_path, monkeypatch):
    path = str(tmp_path / "log")
    monkeypatch.setattr(Joblog, "_line", lambda *_: ("1",))
    with Joblog(path, {"words": ["true"], "shell": False}) as log:
        log._file.close()
        log._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 (the log closes it)
        log.add(SimpleNamespace(worker=None))
        with pytest.raises(GristmillError) as told:
            log.add(SimpleNamespace(worker="w"))
        assert path in str(told.value)
        assert told.value.exit_code == 1
