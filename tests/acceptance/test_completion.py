"""Completion in a shell: of commands, options, tasks and batches."""

import shutil
import socket
import time

import pytest

from tests.support.command import GRISTMILL

#: Completes the words after "$@", as bash does when somebody presses Tab at the end of the last one.
BASH = """
source "$0"
COMP_WORDS=(gristmill "$@") COMP_CWORD=$#
_gristmill_completion gristmill
for reply in "${COMPREPLY[@]}"; do echo "${reply}"; done
"""


def offered(place, *words, **settings):
    """The words that the script of bash asks for and gets, at the end of a line."""
    line = {"COMP_WORDS": " ".join(("gristmill", *words)), "COMP_CWORD": str(len(words))}
    done = place.run(_GRISTMILL_COMPLETE="bash_complete", **line, **settings).good()
    assert done.err == "", done
    return [row.partition(",")[2] for row in done.out.split()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(place, shell):
    script = place.run("completion", shell).good().out
    assert "_GRISTMILL_COMPLETE" in script
    if shutil.which(shell):
        place.process([shell, "-n", "-c" if shell != "fish" else "--command", script]).good()


def test_an_unknown_shell(place):
    place.run("completion", "tcsh").refused("'tcsh'", "bash, zsh, fish")


def test_no_shell(place):
    place.run("completion").refused("bash|zsh|fish")


def test_a_line_of_offered(place):
    path = f"{GRISTMILL.rpartition('/')[0]}:{place.environ['PATH']}"
    script = place.file("completion.bash", place.run("completion", "bash").good().out)
    done = place.process(["bash", "-c", BASH, script, "com"], PATH=path).good()
    assert (done.out.split(), done.err) == (["compare", "completion"], "")


def test_commands_and_options(place):
    assert sorted(offered(place, "dead", "")) == ["delete", "list", "requeue"]
    assert offered(place, "results", "--in") == ["--in-order"]
    assert offered(place, "run", "fibonacci", "--input-format", "c") == ["csv"]


def test_tasks(place):
    assert offered(place, "run", "f") == ["fetch", "fibonacci"]
    assert offered(place, "run", "f", GRISTMILL_TASK_MODULES="missing") == [], "an error does not print into the line"


def test_batches_of_a_server_that_is_near(fleet, name):
    fleet.run("run", "odd", "a", "--name", name).good()
    assert offered(fleet, "watch", name[:-1]) == [name]


def test_no_server_and_one_that_hangs_keep_nobody_waiting(place):
    assert offered(place, "watch", "") == []
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        assert offered(place, "watch", "", GRISTMILL_REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}") == []
        # Far less than the 15 s that a command waits for an answer.
        assert time.monotonic() - begin < 10
