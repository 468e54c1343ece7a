"""The log files of a fleet's processes: shown as they grow, and rotated."""

import os

import pytest

from gristmill.local import log_file
from gristmill.local.log_file import LogFile, LogFiles
from tests.conftest import until


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setattr(log_file, "MOST_BYTES", 10)
    return LogFile(tmp_path / "logs" / "cpu.log")


def contents(log):
    return {path.name: path.read_text() for path in log.path.parent.iterdir()}


def test_a_long_file_is_rotated_and_the_process_goes_on_in_it(log, tmp_path):
    process, shown = log.open(), os.open(tmp_path / "shown", os.O_WRONLY | os.O_CREAT)
    lines = [f"line {number} {'x' * 10}\n" for number in range(log_file.OLDER + 2)]
    for line in lines:
        os.write(process, line.encode())
        log.look(shown)
    os.write(process, b"the last")
    log.look(shown)
    assert (tmp_path / "shown").read_text() == "".join(lines) + "the last"
    older = {f"cpu.log.{age}": lines[-age] for age in range(1, log_file.OLDER + 1)}
    assert contents(log) == {"cpu.log": "the last", **older}
    assert {path.stat().st_mode & 0o777 for path in log.path.parent.iterdir()} == {0o600}
    os.close(process)
    os.close(shown)


def test_the_last_line_is_of_the_process_that_started_last(log):
    first = log.open()
    os.write(first, b"first\n")
    assert log.last_line() == "first"
    second = log.open()
    assert log.last_line() == ""
    os.write(second, b"\nsecond\n\n")
    assert log.last_line() == "second"
    os.close(first)
    os.close(second)


def test_what_stands_there_is_not_shown_and_the_rest_is_at_the_end(tmp_path):
    (tmp_path / "cpu.log").write_text("of yesterday\n")
    read, write = os.pipe()
    with LogFiles(tmp_path, write) as files:
        log = files.file("cpu")
        process = log.open()
        os.write(process, b"now\n")
        assert until(lambda: os.read(read, 100), what="the line") == b"now\n"
        os.write(process, b"at the end\n")
    assert os.read(read, 100) == b"at the end\n"
    for descriptor in (process, read, write):
        os.close(descriptor)
