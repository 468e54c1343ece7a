"""Results as they are read: while a pipe is open, into a file that survives kills, and removed once they are read."""

import csv
import io
import json
import os
import signal
import subprocess

import pytest

from tests.conftest import until
from tests.support.command import GRISTMILL


def indexes(done):
    return sorted(row["index"] for row in done.rows)


def parts(path):
    """The partial files beside `path`."""
    return sorted(path.parent.glob(f".{path.name}.*.part"))


class TestOpenPipe:
    @pytest.mark.parametrize("command", [("run",), ("submit", "--follow")], ids=["run", "submit"])
    def test_results_come_while_it_is_open(self, fleet, name, command):
        first, *options = command
        with fleet.start(first, "odd", "--from", "-", "--name", name, *options, stdin=subprocess.PIPE) as running:
            rows = []
            for item in ("a", "b", "c"):
                running.process.stdin.write(f"{item}\n")
                running.process.stdin.flush()
                rows.append(json.loads(running.line()))
            done = running.end().good()
        assert [(row["index"], row["value"]) for row in rows] == [(0, "a"), (1, "b"), (2, "c")]
        assert done.out == ""
        assert fleet.info(name).succeeded == 3

    @pytest.mark.parametrize(
        "command", ["announce --seconds 60", "announce --seconds 60 --json", "run --dry-run -- echo"]
    )
    def test_each_line_is_there_before_the_next_one_is_waited_for(self, fleet, command):
        with fleet.start(*command.split(), stdin=subprocess.PIPE) as running:
            running.process.stdin.write("a\n")
            running.process.stdin.flush()
            assert running.line()
            assert running.process.poll() is None

    def test_each_line_of_a_log_is_there_before_the_next_one_is_waited_for(self, fleet, name):
        fleet.run("submit", "--name", name, "--shell", "--", "echo ready >&2; sleep {}", ":::", "0", "60").good()
        with fleet.start("logs", name, "--follow") as running:
            assert running.line() == "0 | ready\n"
            assert running.process.poll() is None
        fleet.run("cancel", name, "--kill").good()

    @pytest.mark.parametrize("command", ["watch {} --json", "workers --watch --json"])
    def test_each_line_of_a_second_is_there_by_itself(self, fleet, name, command):
        """A buffer would be handed over with several lines in it."""
        fleet.run("submit", "pause", "60", "--name", name).good()
        with fleet.start(*command.format(name).split()) as running:
            until(lambda: os.read(running.process.stdout.fileno(), 1 << 16).count(b"\n") == 1, 30, "one line alone")
        fleet.run("cancel", name, "--item", "0").good()

    def test_a_bad_item_ends_it_with_2(self, fleet, name):
        with fleet.start("run", "pause", "--from", "-", "--name", name, stdin=subprocess.PIPE) as running:
            running.process.stdin.write("0\n")
            running.process.stdin.flush()
            assert json.loads(running.line())["index"] == 0
            running.process.stdin.write("x\n")
            done = running.end()
        assert done.code == 2
        assert done.complaint.startswith("gristmill: standard input:2: invalid value for seconds: 'x' ")
        assert f"1 item is stored, and the same command with --name {name} goes on" in done.complaint
        again = fleet.run("run", "pause", "--from", "-", "--name", name, stdin="0\n0\n").good()
        assert indexes(again) == [0, 1]

    @pytest.mark.parametrize("how", ["SIGINT", "--max-wait"])
    def test_broken_off_it_keeps_what_was_read(self, fleet, name, how):
        options = ("--max-wait", "2") if how == "--max-wait" else ()
        with fleet.start("run", "odd", "--from", "-", "--name", name, *options, stdin=subprocess.PIPE) as running:
            running.process.stdin.write("a\nb\n")
            running.process.stdin.flush()
            running.line()
            if how == "--max-wait":
                assert running.process.wait(30) == 124
            else:
                running.process.send_signal(signal.SIGINT)
                assert running.process.wait(30) == 130
            done = running.end()
        assert f"2 items are stored, and the same command with --name {name} goes on" in done.err
        assert "Traceback" not in done.err
        assert indexes(fleet.run("run", "odd", "a", "b", "c", "--name", name).good()) == [0, 1, 2]

    def test_submit_stores_all_though_nobody_reads(self, fleet, name):
        items = fleet.file(f"{name}.txt", "0\n" * 30_000)
        shell = f'"$0" submit pause --from {items} --name {name} --follow | head -1'
        done = fleet.process(["bash", "-o", "pipefail", "-c", shell, GRISTMILL]).good()
        assert len(done.rows) == 1
        assert fleet.info(name).submitted == 30_000

    def test_other_input_prints_no_result(self, fleet, name):
        fleet.run("run", "odd", "a", "b", "--name", name).good()
        done = fleet.run("run", "odd", "--from", "-", "--name", name, stdin="a\nB\n")
        done.refused('item 1 was "b", now it is "B" (standard input:2)')
        done = fleet.run("run", "odd", "--from", "-", "--name", name, stdin="a\nb\nc\n")
        done.refused("2 items", "standard input:3")


class TestOutput:
    @pytest.mark.parametrize("form", ["jsonl", "csv"])
    def test_killed_again_and_again_each_result_is_there_once(self, fleet, name, tmp_path, form):
        path = tmp_path / "all"
        items = fleet.file(f"{name}.txt", "".join(f'{n} a,"b"\n' for n in range(400)))
        fleet.run("submit", "odd", "--from", items, "--name", name, "--set", "size=1").good()
        command = ("results", name, "--follow", "--consume", "--output", str(path), "--format", form)
        for _ in range(8):
            with fleet.start(*command) as running:
                seen = sum(part.stat().st_size for part in parts(path))
                until(
                    lambda: path.exists() or sum(part.stat().st_size for part in parts(path)) > seen,  # noqa: B023
                    what="more results",
                )
                if path.exists():
                    break
                os.kill(running.pid, signal.SIGKILL)
                running.end()
            # As if the last write had been cut short.
            (part,) = parts(path)
            with part.open("ab") as torn:
                torn.write(b'{"index":7,"input":"' if form == "jsonl" else b'7,"torn\n')
            assert not path.exists()
        if not path.exists():
            fleet.run(*command).good()
        assert parts(path) == []
        text = path.read_text()
        rows = list(csv.DictReader(io.StringIO(text, newline=""))) if form == "csv" else Lines(text).rows
        assert sorted(int(row["index"]) for row in rows) == list(range(400))
        assert {row["input"] for row in rows} == {f'{n} a,"b"' for n in range(400)}
        info = fleet.info(name)
        assert (info.consumed, info.left) == (400, 0)
        fleet.run(*command).refused("400 results", repr(str(path)))
        assert path.read_text() == text

    def test_in_order_it_goes_on_in_order(self, fleet, name, tmp_path):
        path = tmp_path / "all"
        fleet.run("submit", "pause", *["0.5"] * 200, "--name", name).good()
        command = ("results", name, "--follow", "--in-order", "--output", str(path))
        with fleet.start(*command) as running:
            until(lambda: parts(path), what="a part")
            running.end(signal.SIGINT)
        fleet.run(*command).good()
        assert [row["index"] for row in Lines(path.read_text()).rows] == list(range(200))

    def test_one_command_at_a_time_writes_a_file(self, fleet, name, tmp_path):
        path = tmp_path / "all"
        fleet.run("submit", "pause", "0", "60", "--name", name).good()
        command = ("results", name, "--follow", "--output", str(path))
        with fleet.start(*command) as running:
            until(lambda: parts(path) and parts(path)[0].stat().st_size, what="a part")
            fleet.run(*command).refused(repr(str(path)))
            done = running.end(signal.SIGINT)
        assert done.code == 130
        assert parts(path)[0].name in done.err
        assert "the same command goes on" in done.err
        fleet.run("cancel", name, "--item", "1").good()

    def test_what_is_no_result_is_refused(self, fleet, name, tmp_path):
        path = tmp_path / "all"
        fleet.run("submit", "pause", "0", "20", "--name", name).good()
        command = ("results", name, "--follow", "--output", str(path), "--max-wait", "1")
        assert fleet.run(*command).code == 124
        (part,) = parts(path)
        part.write_text('{"index":0}\n')
        fleet.run(*command).refused("line 1", "remove the file")
        fleet.run("cancel", name, "--item", "1").good()


class Lines:
    def __init__(self, text):
        self.rows = [json.loads(line) for line in text.splitlines()]


class TestConsume:
    def test_failures_stay_and_the_rest_is_gone(self, fleet, name):
        done = fleet.run("run", "odd", "a", "raise", "b", "--name", name, "--consume")
        assert (done.code, indexes(done)) == (1, [0, 1, 2])
        assert "2 consumed" in done.err
        left = fleet.run("results", name)
        assert (left.code, indexes(left)) == (1, [1])
        assert left.rows[0]["input"] == "raise"
        assert f"2 results of batch {name}" in left.err
        # Those that were consumed do not run again.
        again = fleet.run("run", "odd", "a", "raise", "b", "--name", name)
        assert (again.code, indexes(again)) == (1, [1])
        assert "nothing new" in again.err
        failed = fleet.run("results", name, "--failed")
        assert (failed.code, indexes(failed), failed.err) == (1, [1], "")

    def test_a_batch_without_failures_ends_with_0(self, fleet, name):
        fleet.run("submit", "odd", "a", "b", "--name", name).good()
        done = fleet.run("results", name, "--follow", "--consume", "--in-order").good()
        assert [row["index"] for row in done.rows] == [0, 1]
        assert fleet.run("results", name).good().rows == []
        fleet.run("watch", name).good()
        fleet.run("delete", name).good()

    def test_it_goes_with_follow_alone(self, fleet):
        fleet.run("results", "--consume").refused("--consume goes with --follow")
        fleet.run("results", "--consume", "--follow", "--failed").refused("--consume", "--failed")

    def test_a_file_without_what_was_consumed_is_not_written(self, fleet, name, tmp_path):
        fleet.run("run", "odd", "a", "raise", "--name", name, "--consume")
        path = tmp_path / "all"
        path.write_text("before\n")
        fleet.run("results", name, "--output", str(path)).refused("1 results", repr(str(path)))
        assert path.read_text() == "before\n"
        assert fleet.run("results", name, "--failed", "--output", str(path)).code == 1
        assert [row["index"] for row in Lines(path.read_text()).rows] == [1]


@pytest.mark.parametrize("kind", ["directory", "pipe", "link"])
def test_what_is_no_regular_file_stays_as_it_is(fleet, name, tmp_path, kind):
    """Root could replace a device, too: `--output /dev/null` would be the end of it."""
    path = tmp_path / "x"
    make = {
        "directory": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "link": lambda: path.symlink_to(__file__),
    }
    make[kind]()
    fleet.run("run", "odd", "a", "--name", name).good()
    fleet.run("results", name, "--output", str(path)).refused(repr(str(path)), "not a regular file")
    assert path.is_symlink() or path.is_fifo() or path.is_dir()
    assert [*tmp_path.iterdir()] == [path]
    fleet.run("results", name, "--output", "").refused("--output")
