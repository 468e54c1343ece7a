"""The numbers of slots: different ones for all workers of a queue on a host, and free again when a worker ends."""

import subprocess
import sys

from gristmill.worker.slot_numbers import SlotNumbers

OTHER = """
import sys
from pathlib import Path
from gristmill.worker.slot_numbers import SlotNumbers

numbers = SlotNumbers(Path(sys.argv[1]))
print(numbers.take("gpu", 2), flush=True)
sys.stdin.read()
"""


def test_workers_of_a_queue_have_different_numbers(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "[0, 1]\n"
        assert SlotNumbers(tmp_path).take("gpu", 3) == [2, 3, 4]
        assert SlotNumbers(tmp_path).take("mail", 2) == [0, 1]
        other.kill()
        other.wait()
    assert SlotNumbers(tmp_path).take("gpu", 2) == [0, 1]


def test_without_a_directory_they_are_the_first_ones(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert SlotNumbers(tmp_path / "file" / "below").take("gpu", 2) == [0, 1]
    assert "number the slots" in caplog.text


def test_nobody_else_reads_or_redirects_the_file(tmp_path, caplog):
    directory = tmp_path / "slots"
    SlotNumbers(directory).take("gpu", 1)
    assert directory.stat().st_mode & 0o777 == 0o700
    (directory / "mail").symlink_to(tmp_path / "elsewhere")
    assert SlotNumbers(directory).take("mail", 1) == [0]
    assert not (tmp_path / "elsewhere").exists()
    assert "number the slots" in caplog.text
