"""A program in a slot: how it is started, what its outcome tells, where its output goes, and how it fails."""

import json
import os
import resource
import sys
import time

import pytest

from gristmill.batches.shared_arguments import difference, without_secrets
from gristmill.config.settings import Settings
from gristmill.tasks.item import enter, leave
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.program.errors import OutputTooLarge, ProgramFailed, ProgramsOff
from gristmill.tasks.program.task import program
from gristmill.worker.limits import TimeLimitExceeded, memory_limit, time_limit
from gristmill.worker.programs import process
from gristmill.worker.programs import run as running
from gristmill.worker.slot.run_outcome import explain


def run(*words, **options):
    """The outcome of a program; `{}` in the words is the input x."""
    return program.run(input="x", command=CommandLine((*words, "{}"), **options))


def sh(script, **options):
    return run("sh", "-c", script, "sh", **options)


def test_the_outcome_tells_how_it_ended_and_has_its_stdout():
    before = time.time()
    outcome = sh("echo out $1; echo err >&2")
    assert outcome == {
        "exit": 0,
        "signal": None,
        "started": pytest.approx(before, abs=30),
        "seconds": outcome["seconds"],
        "cpu_seconds": outcome["cpu_seconds"],
        "max_memory": outcome["max_memory"],
        # The lowest number that no other worker of this host has.
        "slot": outcome["slot"],
        "stdout": "out x\n",
    }
    assert outcome["seconds"] > 0 < outcome["cpu_seconds"]


def test_cpu_time_and_memory_are_the_programs_own():
    busy = "import time\nd = bytearray(300 << 20)\nwhile time.process_time() < 0.3: pass"
    outcome = run(sys.executable, "-c", busy)
    assert outcome["cpu_seconds"] > 0.3
    assert 300 << 20 < outcome["max_memory"] < 400 << 20
    assert sh("sleep 0.3")["cpu_seconds"] < 0.2


def test_the_memory_of_this_process_is_not_counted():
    large = bytearray(b"x") * (200 << 20)
    assert (sh("sleep 0.3")["max_memory"] or 0) < 100 << 20
    assert sh(":")["max_memory"] is None
    assert large


@pytest.mark.parametrize("code", [1, 3, 255])
def test_an_exit_code_is_a_failure_unless_it_is_allowed(code):
    with pytest.raises(ProgramFailed) as failure:
        sh(f"echo out; exit {code}")
    assert (failure.value.outcome["exit"], failure.value.outcome["stdout"]) == (code, "out\n")
    assert f"exit code {code}" in str(failure.value)
    assert sh(f"exit {code}", ok_codes=(0, code))["exit"] == code


def test_an_allowed_list_without_0_has_0_fail():
    with pytest.raises(ProgramFailed):
        sh(":", ok_codes=(3,))


def test_a_signal_is_a_failure_that_names_it():
    with pytest.raises(ProgramFailed) as failure:
        sh("kill -SEGV $$")
    assert (failure.value.outcome["exit"], failure.value.outcome["signal"]) == (None, "SIGSEGV")
    error = explain(failure.value)
    assert (error["type"], error["outcome"]["signal"]) == ("ProgramFailed", "SIGSEGV")
    assert "SIGSEGV" in error["message"]
    assert "kill -SEGV" in error["message"]


def test_what_is_no_program_fails_as_in_a_shell(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for word, code in (
        ("no-such-program", 127),
        (str(tmp_path / "none"), 127),
        (str(plain), 126),
        (str(tmp_path), 126),
    ):
        with pytest.raises(ProgramFailed) as failure:
            run(word)
        assert (failure.value.outcome["exit"], failure.value.outcome["stdout"]) == (code, "")
        assert word in str(failure.value)


def test_a_script_whose_interpreter_is_missing_is_told_from_one_that_is_not_there(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    for word, workdir in ((str(script), ""), ("./script", str(tmp_path))):
        with pytest.raises(ProgramFailed, match="interpreter") as failure:
            run(word, workdir=workdir)
        assert failure.value.outcome["exit"] == 127


def test_a_script_without_an_interpreter_runs_in_the_shell(tmp_path):
    script = tmp_path / "script"
    script.write_text('echo "$0 $1"\n')
    script.chmod(0o755)
    assert run(str(script))["stdout"] == f"{script} x\n"


def test_a_program_that_moves_is_found_again(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    path = f"{one}:{two}:/bin:/usr/bin"
    for directory in (one, two):
        directory.mkdir()
    for directory in (one, two):
        script = directory / "moves"
        script.write_text("#!/bin/sh\necho $0\n")
        script.chmod(0o755)
        assert run("moves", env={"PATH": path})["stdout"] == f"{script}\n"
        script.unlink()


def test_the_directory_and_the_variables_are_the_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_REDIS_PASSWORD", "secret-of-the-worker")
    before = os.getcwd()  # noqa: PTH109
    assert sh("pwd", workdir=str(tmp_path))["stdout"] == f"{tmp_path}\n"
    assert os.getcwd() == before  # noqa: PTH109
    running._environment.cache_clear()
    variables = sh("env")["stdout"]
    assert "PATH=" in variables
    assert "GRISTMILL_" not in variables
    assert sh('echo "$NOTE"', env={"NOTE": "a b"})["stdout"] == "a b\n"
    with pytest.raises(ProgramFailed) as failure:
        sh("pwd", workdir=str(tmp_path / "none"))
    assert "workdir" in str(failure.value)


def test_the_process_moves_only_to_another_directory_than_its_own(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    with monkeypatch.context() as patch:
        patch.delattr(os, "chdir")
        assert sh("pwd", workdir=str(here))["stdout"] == f"{here}\n"
    # Another directory of that name is another one.
    here.rename(tmp_path / "moved")
    here.mkdir()
    (here / "new").touch()
    assert sh("ls", workdir=str(here))["stdout"] == "new\n"


def test_it_reads_nothing_and_finds_signals_and_descriptors_as_a_shell_would():
    assert sh("cat; ls -l /proc/self/fd/0 | grep -o '[^ ]*$'")["stdout"] == "/dev/null\n"
    ignored = sh("grep SigIgn /proc/self/status")["stdout"].split()[1]
    assert int(ignored, 16) & 0x7FFF_FFFF == 0
    session, group = sh("cut -d' ' -f5,6 /proc/$$/stat")["stdout"].split()
    assert session == group != str(os.getsid(0))


@pytest.mark.parametrize("data", [b"", b"a\nb", b"\xff\x00x\n", "é\n".encode(), b"\r\n\t\x1b["], ids=ascii)
def test_bytes_come_out_as_they_went_in(data, tmp_path):
    from gristmill.cli.output.program_output import _pieces

    (tmp_path / "x").write_bytes(data)
    outcome = run("cat", workdir=str(tmp_path))
    assert b"".join(_pieces(outcome["stdout"])) == data


def test_outputs_do_not_mix():
    assert [sh(f"echo {number}")["stdout"] for number in range(3)] == ["0\n", "1\n", "2\n"]


@pytest.mark.parametrize("script", ["yes", "head -c 1200000 /dev/zero", "head -c 1048000 /dev/zero | tr '\\0' '\\n'"])
def test_more_than_a_result_holds_fails_and_names_the_way_out(script):
    with pytest.raises(OutputTooLarge) as failure:
        sh(script)
    assert "--output-dir" in str(failure.value)
    assert failure.value.outcome["stdout"]["bytes"] > 1 << 19
    assert len(str(failure.value.outcome)) < 40_000
    assert sh("echo after")["stdout"] == "after\n"


def test_nearly_as_much_as_a_result_holds_is_whole():
    assert sh("head -c 1000000 /dev/zero | tr '\\0' a")["stdout"] == "a" * 1_000_000


def test_with_a_directory_output_of_any_size_goes_to_files(tmp_path):
    enter(("b", 7, 1, None, 3, "program"))
    try:
        for _ in range(2):
            outcome = sh("head -c 3000000 /dev/zero; echo err >&2", output_dir=str(tmp_path / "out"))
    finally:
        leave()
    folder = tmp_path / "out" / "7"
    assert outcome["stdout"] == {"file": str(folder / "stdout"), "bytes": 3_000_000}
    assert (folder / "stdout").stat().st_size == 3_000_000
    assert (folder / "stderr").read_text() == "err\n"
    assert '"exit": 0' in (folder / "meta.json").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["7"]


def test_a_file_that_has_the_name_of_an_items_folder_stays(tmp_path):
    (tmp_path / "0").write_text("of the user")
    with pytest.raises(FileExistsError):
        run("echo", output_dir=str(tmp_path))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of the user"]


def limited(seconds, script):
    """Run a script within a time limit."""
    with time_limit.armed(seconds):
        time_limit.begin(time.perf_counter())
        try:
            sh(script)
        finally:
            time_limit.end()


def test_at_its_time_limit_it_is_asked_to_end():
    with pytest.raises(TimeLimitExceeded) as late:
        limited(0.5, "trap 'echo bye; exit 9' TERM; echo hi; while :; do sleep 0.05; done")
    assert (late.value.outcome["exit"], late.value.outcome["stdout"]) == (9, "hi\nbye\n")
    assert explain(late.value)["outcome"] == late.value.outcome


def test_who_does_not_end_is_killed():
    with pytest.raises(TimeLimitExceeded) as late:
        limited(0.3, "trap '' TERM; while :; do sleep 0.05; done")
    assert late.value.outcome["signal"] == "SIGKILL"


def test_its_memory_is_what_the_item_may_have_and_not_what_this_process_has():
    allocate = "import sys; bytearray(int(sys.argv[2]) << 20); print('got')"
    words = (sys.executable, "-c", allocate, "x")
    with memory_limit(200 << 20):
        assert program.run(input="100", command=CommandLine((*words, "{}")))["stdout"] == "got\n"
        with pytest.raises(ProgramFailed):
            program.run(input="300", command=CommandLine((*words, "{}")))


def test_its_memory_is_limited_before_it_can_start_others(monkeypatch):
    """As if this process came to nothing for a while behind the start of the program."""
    monkeypatch.setattr(process, "limit_program", lambda pid: None)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_limit(1 << 30):
        own = resource.getrlimit(resource.RLIMIT_DATA)
        assert sh("ulimit -S -d")["stdout"] == "1048576\n"
        assert resource.getrlimit(resource.RLIMIT_DATA) == own
        with memory_limit(1 << 20):
            # Less than this process has: it could not even start the program.
            assert int(sh("ulimit -S -d")["stdout"]) << 10 <= own[0] - (1 << 30) + (64 << 20)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_worker_that_runs_none_says_so(monkeypatch):
    monkeypatch.setattr(running, "settings", lambda: Settings(redis_url="redis://h/0"))
    with pytest.raises(ProgramsOff):
        sh(":")
    monkeypatch.setattr(running, "settings", lambda: Settings(redis_url="redis://h/0", commands="any"))
    assert sh(":")["exit"] == 0
    monkeypatch.setattr(running, "settings", lambda: Settings(commands="off"))
    with pytest.raises(ProgramsOff):
        sh(":")


def test_an_error_about_another_command_hides_the_values_of_variables():
    text = json.dumps({"command": {"words": ["true"], "env": {"TOKEN": "s3cret"}}})
    assert "s3cret" not in without_secrets(text)
    assert "TOKEN" in without_secrets(text)
    assert "s3cret" not in difference(text, text.replace("s3cret", "t0ken"))
    assert [without_secrets(other) for other in ("fibonacci", '{"n": 1}', "[]")] == ["fibonacci", '{"n": 1}', "[]"]


def test_an_error_about_another_command_names_the_part_that_differs():
    def of(**parts):
        fields = {"words": ["gzip", "-9"], "shell": False, "workdir": "", "env": {"A": "1"}, "ok_codes": [0]}
        return json.dumps({"command": {**fields, "output_dir": "", **parts}})

    assert difference(of(), of(words=["gzip", "a b"])) == "-- gzip -9, not gzip 'a b'"
    assert difference(of(workdir="/a"), of(workdir="/b")) == "--workdir /a, not /b"
    assert difference(of(), of(ok_codes=[0, 3])) == "--ok-codes 0, not 0,3"
    assert difference(of(), of(env={})) == "--env A, not (none)"
    assert difference(of(), of(env={"A": "2"})) == "another value of --env A"
    assert difference(of(), of(shell=True)) == "--shell (none), not True"
    assert difference('{"n": 1}', '{"n": 2}') == '--set {"n": 1}, not {"n": 2}'
