"""Lines on stderr, where it is no terminal."""

import os
import subprocess
import sys

import pytest

WARN = "from gristmill.cli.console import warn\n"


def run(code, stderr=subprocess.PIPE, **variables):
    words = [sys.executable, "-c", code]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ, **variables}, check=False)


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_gets_colours_only_when_a_variable_says_so(name):
    assert run(f"{WARN}warn('a [b]')").stderr == b"gristmill: warning: a [b]\n"
    assert run(f"{WARN}warn('a [b]')", **{name: "1"}).stderr.startswith(b"\x1b[33mgristmill: warning: a [b]")


def test_nobody_reads_stderr():
    """The command ends, and not as if all were well."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert (
            run(f"{WARN}try:\n    warn('a')\nexcept SystemExit as end:\n    exit(7 * end.code)", writer).returncode == 7
        )
    finally:
        os.close(writer)


def test_a_stderr_that_the_caller_closed_takes_nothing():
    done = run(f"import sys\nsys.stderr = None\n{WARN}warn('a')")
    assert (done.returncode, done.stdout) == (0, b"")
