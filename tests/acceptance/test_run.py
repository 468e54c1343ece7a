"""`gristmill run` with nothing running: its own fleet, for its own duration."""

import hashlib
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.command import GRISTMILL, Done
from tests.support.homes import kill

STDLIB = Path(os.__file__).parent


def indexes(done):
    return sorted(row["index"] for row in done.rows)


class TestAlone:
    def test_three_numbers_and_nothing_left(self, place, tmp_path):
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        done = place.run("run", "fibonacci", "20", "21", "22", TMPDIR=str(temporary)).good()
        assert sorted((row["index"], row["value"]) for row in done.rows) == [(0, 6765), (1, 10946), (2, 17711)]
        assert place.processes() == []
        assert list(temporary.iterdir()) == []
        assert not (place.home.path / "server.json").exists()
        # The batch can be asked for later.
        (row,) = place.run("batches", "--json").good().rows
        assert (row["state"], row["submitted"], row["left"]) == ("succeeded", 3, 0)

    def test_a_failed_item_is_the_code(self, place):
        done = place.run("run", "digest", "missing")
        assert (done.code, done.rows[0]["error"]["type"]) == (1, "FileNotFoundError")
        assert place.processes() == []

    def test_bad_items_start_nothing(self, place):
        place.run("run", "fibonacci", "3", "x").refused("argument 2: ", "n: 'x'")
        assert not place.home.path.exists()

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_digests_of_the_whole_stdlib(self, place):
        # Without what is installed beside it, which may be any number of files.
        find = ["find", ".", "-path", "./site-packages", "-prune", "-o", "-type", "f", "-print"]
        shell = f'"$0" run digest --from <({shlex.join(find)})'
        done = place.process(["bash", "-c", f"cd {STDLIB} && {shell}", GRISTMILL]).good()
        found = {row["input"]: row["value"]["sha256"] for row in done.rows}
        assert len(done.rows) == len(found) > 1000
        for path, sha256 in found.items():
            assert hashlib.sha256((STDLIB / path).read_bytes()).hexdigest() == sha256
        files = subprocess.run(find, cwd=STDLIB, capture_output=True, text=True, check=True)
        assert set(found) == set(files.stdout.splitlines())


class TestInterrupted:
    def test_killed_half_way_and_repeated_each_item_is_there_once(self, place):
        command = ("run", "pause", "--from", place.file("items", "0.05\n" * 200), "--name", "x")
        settings = {"GRISTMILL_IO_SLOTS": "4", "GRISTMILL_LEASE_SECONDS": "2"}
        with place.start(*command, **settings) as running:
            for _ in range(40):
                running.line()
            os.kill(running.pid, signal.SIGKILL)
        place.deserted()
        done = place.run(*command, **settings).good()
        assert indexes(done) == list(range(200))
        (row,) = place.run("batches", "--json").good().rows
        assert (row["submitted"], row["succeeded"], row["left"]) == (200, 200, 0)
        assert indexes(place.run("results", "x").good()) == list(range(200))

    @pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
    def test_interrupted_it_ends_in_order_and_goes_on_when_repeated(self, place, number):
        command = ("run", "pause", "--from", place.file("items", "0.05\n" * 200), "--name", "x")
        with place.start(*command, GRISTMILL_IO_SLOTS="4") as running:
            for _ in range(40):
                running.line()
            done = running.end(number)
        assert done.code == 130, done
        assert "the same command with --name x goes on" in done.err
        assert "Traceback" not in done.err
        place.deserted(1)
        done = place.run(*command, GRISTMILL_IO_SLOTS="64").good()
        assert indexes(done) == list(range(200))
        assert "duplicate" not in done.err

    def test_its_server_is_killed_again_and_again_and_its_fleet_goes_on(self, place, tmp_path):
        """Not another one: that would have another address, and would begin with the items that had run."""
        runs, count = tmp_path / "runs", 60
        words = (
            "-j",
            "2",
            "--",
            "sh",
            "-c",
            f'echo >> {runs}; sleep 0.1; echo "$1"',
            "sh",
            ":::",
            *map(str, range(count)),
        )
        with place.start("run", "--name", "x", *words) as running:
            lines = {running.line()}
            first = place.server()
            for number in (1, 2):
                kill(place.server().server_pid)
                until(lambda: running.err.count("was started again") == number, what="another server")  # noqa: B023
                assert place.server().url == first.url
                lines.add(running.line())
            done = running.end().good()
        assert {*lines, *done.out.splitlines(keepends=True)} == {f"{number}\n" for number in range(count)}
        assert place.run("batches", "--json").rows[0]["succeeded"] == count
        # Each of two slots may have run an item that was not recorded, at each of the kills.
        assert count <= len(runs.read_text()) <= count + 4
        assert done.err.count("gristmill: warning") == 2, done.err

    def test_a_long_item_does_not_outlive_a_killed_run(self, place):
        with place.start("run", "fibonacci", "--name", "x", "42", "0") as running:
            assert '"value":0' in running.line()
            os.kill(running.pid, signal.SIGKILL)
        place.deserted()


@pytest.mark.slow
class TestTwo:
    def test_the_second_completes_when_the_fleet_of_the_first_ends(self, place):
        items = place.file("items", "0.05\n" * 400)
        few = {"GRISTMILL_IO_SLOTS": "4"}
        with place.start("run", "pause", "--from", "-", "--name", "a", stdin=subprocess.PIPE, **few) as first:
            # The first runs for as long as its input is open.
            first.process.stdin.write("0\n")
            first.process.stdin.flush()
            until(place.home.running, what="the first fleet")
            until(lambda: "a" in place.names() and place.info("a").done, what="the first item")
            with place.start("run", "pause", "--from", items, "--name", "b", **few) as second:
                lines = [second.line() for _ in range(10)]
                assert place.server().pid == first.pid
                first.end().good()
                done = second.end().good()
        rows = Done(0, "".join(lines) + done.out, "").rows
        assert sorted(row["index"] for row in rows) == list(range(400)), "each result is printed once"
        assert len({row["pid"] for row in rows}) == 2, "another fleet's worker went on"
        rows = place.run("batches", "--json").good().rows
        assert [(row["name"], row["succeeded"], row["left"]) for row in rows] == [("a", 1, 0), ("b", 400, 0)]
