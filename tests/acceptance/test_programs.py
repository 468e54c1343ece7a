"""Programs as items: what `run` prints of them, how they end with their items, and what is left when all is killed."""

import json
import os
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from urllib.request import urlopen

import psutil
import pytest

from tests.conftest import until
from tests.support.command import GRISTMILL

#: Says what it does on both streams, and ends with its input as exit code.
TALKER = ("sh", "-c", 'echo "out $1"; echo "err $1" >&2; exit "$1"', "sh")


def lives(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def run_bytes(place, *words):
    """What `run` writes to stdout, in bytes."""
    done = subprocess.run(
        [GRISTMILL, "run", *words], cwd=place.cwd, env=place.environ, capture_output=True, check=False
    )
    return done.stdout


def test_run_prints_what_programs_write(fleet, name):
    done = fleet.run("run", "-k", "--name", name, "--", *TALKER, ":::", "0", "3", "0")
    assert (done.code, done.out) == (1, "out 0\nout 3\nout 0\n")
    assert done.err.count("err 0\n") == 2
    assert "item 1 failed: exit code 3" in done.err
    # A repetition prints all of it again, and runs nothing.
    assert fleet.run("run", "-k", "--name", name, "--", *TALKER, ":::", "0", "3", "0").out == done.out
    assert fleet.info(name).duplicates == 0


def test_tags_and_the_log_of_jobs_are_those_of_parallel(fleet, tmp_path):
    log = tmp_path / "joblog"
    out = run_bytes(fleet, "-k", "--tag", "--joblog", str(log), "--", "printf", "x\\ny %s", ":::", "a b", "c")
    assert out == b"a b\tx\na b\ty a bc\tx\nc\ty c"
    head, *lines = log.read_text().splitlines()
    assert head.split("\t") == [
        "Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command",
    ]  # fmt: skip
    rows = sorted(line.split("\t") for line in lines)
    assert [(row[0], *row[4:]) for row in rows] == [
        ("1", "0", "7", "0", "0", "printf 'x\\ny %s' 'a b'"),
        ("2", "0", "5", "0", "0", "printf 'x\\ny %s' c"),
    ]
    run_bytes(fleet, "--joblog", str(log), "--", "sh", "-c", 'kill -KILL $$; exit "$1"', "sh", ":::", "0")
    assert log.read_text().splitlines()[1].split("\t")[6:8] == ["0", "9"]
    run_bytes(fleet, "--joblog", str(log), "--", "printf", "x", ":::", "a\nb\tc")
    assert log.read_text().splitlines()[1].endswith("printf x 'a\0b\tc'")


def test_bytes_and_large_outputs_are_whole(fleet, tmp_path):
    data = os.urandom(600_000)
    (tmp_path / "data").write_bytes(data)
    assert run_bytes(fleet, "--", "cat", ":::", str(tmp_path / "data")) == data
    (tmp_path / "data").write_bytes(3 * data)
    assert run_bytes(fleet, "--", "cat", ":::", str(tmp_path / "data")) == b""
    out = run_bytes(fleet, "--output-dir", str(tmp_path / "out"), "--", "cat", ":::", str(tmp_path / "data"))
    assert out == 3 * data == (tmp_path / "out" / "0" / "stdout").read_bytes()
    meta = json.loads((tmp_path / "out" / "0" / "meta.json").read_text())
    assert (meta["exit"], meta["command"]) == (0, ["cat", str(tmp_path / "data")])


def test_it_runs_where_the_command_was_called_with_no_stream_of_the_workers(fleet, tmp_path):
    out = fleet.run("run", "--", "sh", "-c", "pwd; ls /proc/self/fd", ":::", "x", cwd=tmp_path).good().out
    assert out.split() == [str(tmp_path), "0", "1", "2", "3"]


def test_limits_of_an_item_are_the_programs(fleet, tmp_path, name):
    count = tmp_path / "count"
    third = f'echo x >> {count}; test "$(wc -l < {count})" = 3'
    fleet.run("run", "--retries", "2", "--", "sh", "-c", third, ":::", "x").good()
    done = fleet.run(
        "run", "--time-limit", "0.5", "--name", name, "--", "sh", "-c", "echo $$; exec sleep 600", ":::", "x"
    )
    assert done.code == 1
    assert "time limit" in done.err
    assert not lives(int(done.out))
    assert fleet.run("run", "--ok-codes", "0,3", "--", "sh", "-c", "exit 3", ":::", "x").good().code == 0


def test_a_program_runs_again_at_once_unless_a_wait_is_set(fleet, tmp_path):
    def waited(retries, **settings):
        """The seconds from the first run to the last one."""
        times = tmp_path / f"runs-{retries}"
        program = ("--", "sh", "-c", f"date +%s.%N >> {times}; exit 1", ":::", "x")
        assert fleet.run("run", "--retries", str(retries), *program, **settings).code == 1
        runs = [float(line) for line in times.read_text().split()]
        assert len(runs) == retries + 1
        return runs[-1] - runs[0]

    # The waits of a task's item would be 7.5 s or more.
    assert waited(4) < 5
    assert waited(1, GRISTMILL_RETRY_SECONDS="2") >= 1


def test_values_of_variables_are_on_no_page_and_in_no_json(fleet, name):
    secret = "s3cret-of-the-batch"
    run = ("run", "--name", name, "--env")
    program = ("--", "sh", "-c", 'test "$TOKEN" = other; exit 3', "sh", ":::", "x")
    commands = [(*run, f"TOKEN={secret}", *program), (*run, "TOKEN=other", *program), ("batches", "--json")]
    commands += [(word, name, "--json") for word in ("results", "watch", "busy")] + [("logs", name)]
    texts = [done.out + done.err for done in (fleet.run(*words) for words in commands)]
    assert "another value of --env TOKEN" in texts[1]
    dashboard = fleet.home.read().dashboard
    for path in (
        "batches/data",
        f"batch/{name}",
        f"batch/{name}/data",
        f"batch/{name}/results",
        "busy/data",
        "metrics",
    ):
        with urlopen(f"{dashboard.rstrip('/')}/{path}") as answer:
            texts.append(answer.read().decode())
    assert not any(secret in text for text in texts)
    assert any("exit code 3" in text for text in texts[len(commands) :])


def test_what_a_program_leaves_ends_with_it(fleet):
    """In its session or in one of its own; the process of the worker goes on."""
    script = 'sleep 600 & echo $!; setsid sh -c "echo \\$\\$; exec sleep 600" & sleep 0.3'
    rows = fleet.run("run", "--json", "--", "sh", "-c", script, ":::", "a", "b", "c").good().rows
    pids = [int(pid) for row in rows for pid in row["value"]["stdout"].split()]
    assert len(pids) == 6
    assert not any(map(lives, pids))
    again = fleet.run("run", "--json", "--", "echo", ":::", *"abcdef").good().rows
    assert {row["pid"] for row in again} & {row["pid"] for row in rows}


def test_cancel_kill_ends_programs(fleet, tmp_path, name):
    pid = tmp_path / "pid"
    script = f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 600; echo late"
    fleet.run("submit", "--name", name, "--", "sh", "-c", script, ":::", "x").good()
    until(pid.exists, what="the program")
    fleet.run("cancel", name, "--kill").good()
    until(lambda: not lives(int(pid.read_text())), what="the end of the program")
    assert fleet.ended(name).cancelled == 1


#: Writes a line when it begins, and one when it ends, to a file of the item.
WRITER = ("sh", "-c", 'echo "begin $$" >> "$1"; sleep 0.05; echo end >> "$1"; echo "whole $1"', "sh")


def complete(place, path, count, slots_killed=0):
    """All items have run to their end, outputs are whole, and each run beyond those is a duplicate that was counted."""
    out = place.run("run", "-k", "--name", "x", "--", *WRITER, "::::", str(path / "items"))
    assert out.out.splitlines() == [f"whole {path}/{index}" for index in range(count)]
    lines = [
        Counter(line.split()[0] for line in (path / str(index)).read_text().splitlines()) for index in range(count)
    ]
    assert all(line["end"] >= 1 for line in lines)
    begins, ends = (sum(line[word] for line in lines) for word in ("begin", "end"))
    # A slot may be killed when it has noted a program, and before that has written its line.
    until(lambda: ends - count <= place.info("x").duplicates <= begins - count + slots_killed, what="the duplicates")
    info = place.info("x")
    assert (info.submitted, info.succeeded, info.left) == (count, count, 0), info
    return begins - count


def inputs(path, count):
    (path / "items").write_text("".join(f"{path}/{index}\n" for index in range(count)))
    return ("run", "--name", "x", "--quiet", "--", *WRITER, "::::", str(path / "items"))


@pytest.mark.slow
def test_killed_and_repeated_every_program_runs_to_its_end(place, tmp_path):
    """`run` with all below it, a worker, one of its processes, and the server, one after the other."""
    count = 240
    words = inputs(tmp_path, count)
    with place.start(*words) as running:
        until(place.home.running, what="the server")
        until(lambda: "x" in place.names() and place.info("x").done >= 20, what="some items")
        running.process.kill()
    place.deserted()
    with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2"):
        with place.start(*words) as running:
            until(lambda: place.info("x").done >= 60, what="more items")
            os.kill(place.worker("cpu").pid, signal.SIGKILL)
            until(lambda: place.info("x").done >= 100, what="more items")
            os.kill(psutil.Process(place.worker("cpu").pid).children()[0].pid, signal.SIGKILL)
            until(lambda: place.info("x").done >= 140, what="more items")
            os.kill(place.home.read().server_pid, signal.SIGKILL)
            assert running.end().code == 0, running.err
        # Those that the kills met half-way at least, and a chunk of each slot at most.
        assert 2 <= complete(place, tmp_path, count, slots_killed=7) <= 7 * 20


def test_a_program_whose_worker_is_killed_leaves_one_writer(place, tmp_path):
    """The one that is killed half-way has ended before the item runs again."""
    log = tmp_path / "log"
    script = f"echo begin >> {log}; exec 9> {log}.lock; flock -n 9 || echo two >> {log}; sleep 3"
    with place.up("cpu", "--cpu-slots", "2", in_peace=False, GRISTMILL_LEASE_SECONDS="2"):
        out = tmp_path / "out"
        place.run("submit", "--name", "x", "--output-dir", str(out), "--", "sh", "-c", script, ":::", "x").good()
        until(log.exists, what="the program")
        os.kill(place.worker("cpu").pid, signal.SIGKILL)
        assert place.ended("x").succeeded == 1
        until(lambda: [path.name for path in out.iterdir()] == ["0"], what="the folder of the run that was killed")
        assert place.info("x").duplicates == 1
    assert log.read_text().split() == ["begin", "begin"]
