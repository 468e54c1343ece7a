"""What commands advise works: beside another run, without a fleet, with old code on the workers, in a wrong place."""

import signal

import pytest

from tests.conftest import until

TASKS = '''
"""A task that somebody mends."""

from gristmill.tasks.kinds import io


@io
def mended(number: int) -> int:
    """Fail."""
    raise ValueError(number)
'''


@pytest.fixture
def modules(place):
    """A folder with the user's module, which every command here imports."""
    folder = place.path / "modules"
    folder.mkdir()
    (folder / "shop.py").write_text(TASKS)
    place.environ |= {"PYTHONPATH": str(folder), "GRISTMILL_TASK_MODULES": "shop", "PYTHONDONTWRITEBYTECODE": "1"}
    return folder


class TestRunBesideOthers:
    def test_a_run_names_the_batch_of_a_run_that_was_broken_off(self, place):
        """C7: its worker runs the items of both."""
        with place.start("run", "pause", *["0.2"] * 2000, "--name", "first", GRISTMILL_IO_SLOTS="4") as running:
            running.line()
            assert running.end(signal.SIGINT).code == 130
        done = place.run("run", "pause", "0", "--name", "second", GRISTMILL_IO_SLOTS="4").good()
        for words in ("batch first", "items left", "gristmill pause first", "gristmill cancel first"):
            assert words in done.err
        place.run("pause", "first", "--quiet").good()
        left = place.run("batches", "--json").rows[0]["left"]
        done = place.run("run", "pause", "0", "--name", "third").good()
        assert "first" not in done.err
        assert place.run("batches", "--json").rows[0]["left"] == left > 0

    @pytest.mark.slow
    def test_a_run_of_the_other_queue_waits_for_the_first(self, place):
        """C20: `gristmill up`, which would be refused, is not what it advises."""
        with place.start("run", "pause", "12", "--name", "first") as first:
            until(lambda: place.home.running() and "first" in place.names(), what="the first run")
            with place.start("run", "fibonacci", "10", "--name", "second") as second:
                second.says(f"the items wait for `gristmill run` (pid {first.pid}) to end")
                assert "gristmill up" not in second.err
                assert first.end().good().rows[0]["value"] == 12.0
                assert second.end().good().rows[0]["value"] == 55


class TestOldCode:
    """C8: `retry` and `resume` compare the code here with the workers', as `submit` does."""

    def test_retry_and_resume_warn_when_workers_run_other_code(self, place, modules):
        with place.up("io", "--io-slots", "2"):
            assert place.run("run", "mended", "1", "--name", "first", "--quiet").code == 1
            (modules / "shop.py").write_text(TASKS.replace("raise ValueError(number)", "return number"))
            for command in ("submit", "retry", "resume"):
                words = ("submit", "mended", "2") if command == "submit" else (command, "first")
                warnings = [line for line in place.run(*words).good().err.splitlines() if "warning" in line]
                assert any("'mended'" in line and "io@" in line for line in warnings), (command, warnings)

    def test_retry_refuses_when_no_worker_knows_the_task(self, place, modules):
        with place.up("io", "--io-slots", "2"):
            assert place.run("run", "mended", "1", "--name", "first", "--quiet").code == 1
        with place.up("io", "--io-slots", "2", GRISTMILL_TASK_MODULES=""):
            place.run("retry", "first").refused("'mended'")
            assert place.info("first").failed == 1


class TestDataRoot:
    """C19."""

    def test_the_error_of_a_missing_file_names_it(self, fleet, name):
        (row,) = fleet.run("run", "digest", "missing.iso", "--name", name).rows
        assert row["error"]["type"] == "FileNotFoundError"
        assert "missing.iso" in row["error"]["message"]
        assert str(fleet.root) in row["error"]["message"]

    def test_doctor_names_it(self, fleet):
        rows = {row["check"]: row for row in fleet.run("doctor", "--json").rows}
        assert rows["data root"]["state"] == str(fleet.root)
        assert rows["data root"]["advice"] == "OK"

    def test_doctor_advises_when_it_is_no_directory(self, place):
        done = place.run("doctor", "--json", GRISTMILL_DATA_ROOT=str(place.path / "nothing"))
        rows = {row["check"]: row for row in done.rows}
        assert "GRISTMILL_DATA_ROOT" in rows["data root"]["advice"]


class TestOptionsThatDoNotGoTogether:
    """C16: none is ignored in silence."""

    CASES = (
        (("run", "fibonacci", "3", "-0"), "-0"),
        (("run", "fibonacci", "3", "--input-format", "csv"), "--input-format"),
        (("submit", "fibonacci", "3", "--encoding", "latin-1"), "--encoding"),
        (("run", "fibonacci", "-3"), "--"),
        (("up", "io", "--port", "8080"), "--port"),
        (("up", "io", "--cpu-slots", "2"), "--cpu-slots"),
        (("up", "flower", "--io-slots", "2"), "--io-slots"),
        (("results", "--max-wait", "3"), "--max-wait"),
        (("results", "--failed", "--state", "dead"), "--failed"),
        (("results", "--json", "--format", "csv"), "--json"),
        (("results", "--output", "x", "--format", "text"), "--output"),
        (("compare", "--items", "3", "--seconds", "3", "--only", "cpu"), "--seconds"),
    )

    def test_they_are_refused(self, place):
        place.refused(self.CASES)
        assert not place.home.path.exists()
