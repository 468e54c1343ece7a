"""`gristmill help parallel`: other tools' options beside ours, checked against the tools' own help."""

import inspect
import os
import re
import shutil
import subprocess

import click
import joblib
import pytest
from click.testing import CliRunner

from gristmill.cli import cli, other_tools
from gristmill.cli.help import answer
from tests.support.commands import command_named

OURS = {name for option in command_named("run").params if isinstance(option, click.Option) for name in option.opts}


def help_of(program: str) -> str:
    if not shutil.which(program):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed: bin/test-needs")
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", [*other_tools.PARALLEL, *other_tools.XARGS])
def test_a_line_says_what_stands_here_for_each_option(words):
    assert answer(words)
    for word in words.split():
        assert word in OURS or word in other_tools.OPTIONS or word in ("-x", "--exit"), word


@pytest.mark.parametrize(("program", "rows"), [("parallel", other_tools.PARALLEL), ("xargs", other_tools.XARGS)])
def test_every_option_in_the_help_of_the_tool_is_there(program, rows):
    options = set(re.findall(r"^ *(-[a-zA-Z0-9]|--[a-z-]+)\b|, (--[a-z-]+)", help_of(program), re.MULTILINE))
    names = {name for pair in options for name in pair if name} - {"--help", "--version", "--plus", "--pipe"}
    assert len(names) > 8
    assert sorted(names - {word for row in rows for word in row.split()}) == []


def test_every_argument_of_joblib_is_there():
    names = {name for names in other_tools.JOBLIB for name in names.split(", ")}
    assert names == set(inspect.signature(joblib.Parallel).parameters) - {"backend_kwargs"}


def test_help_prints_the_table_and_the_help_of_commands():
    runner = CliRunner()
    table = runner.invoke(cli, ["help", "parallel"]).output
    for words in (*other_tools.PARALLEL, *other_tools.XARGS):
        assert words.replace(" ", ", ") in table
    assert all(name in table for name in other_tools.JOBLIB)
    assert runner.invoke(cli, ["help", "run"]).output.startswith("Usage: ")
    assert "gristmill demo" in runner.invoke(cli, ["help"]).output
    assert runner.invoke(cli, ["help", "rnu"]).exit_code == 2
