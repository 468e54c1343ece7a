"""The numbers of slots: different ones for all workers of a queue on a host, and free again when a worker ends."""

import os
import subprocess
import sys

from gristmill.worker.pool.slot_numbers import SlotNumbers, open_locked

OTHER = """
import sys
from pathlib import Path
from gristmill.worker.pool.slot_numbers import SlotNumbers

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


def test_the_last_worker_of_a_queue_removes_the_file(tmp_path):
    directory = tmp_path / "slots"
    numbers = SlotNumbers(directory)
    assert numbers.take("gpu", 1) == [0]
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "[1, 2]\n"
        numbers.release()
        assert (directory / "gpu").exists()
        other.kill()
        other.wait()
    numbers.take("gpu", 1)
    numbers.release()
    assert not directory.exists()


def test_a_file_that_was_removed_before_the_lock_is_not_used(tmp_path):
    locks = []

    def lock(file):
        locks.append(file)
        if len(locks) == 1:
            (tmp_path / "gpu").unlink()

    file, _ = open_locked(tmp_path, "gpu", lock)
    assert len(locks) == 2
    assert os.fstat(file).st_ino == (tmp_path / "gpu").stat().st_ino
    os.close(file)
