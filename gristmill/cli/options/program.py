"""The options of what runs programs: where and how each runs, and how its output is printed."""

import os
import re
from pathlib import Path
from typing import Any

import click

from gristmill.cli.options.group import option_group
from gristmill.cli.writable import check_output_dir, fault
from gristmill.config.settings import settings
from gristmill.tasks.program.command import is_variable

_CODES = re.compile(r"\d{1,3}(,\d{1,3})*", re.ASCII)


def _codes(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    codes = tuple(map(int, text.split(","))) if _CODES.fullmatch(text) else ()
    if not codes or max(codes) > 255:
        raise click.BadParameter(f"{text!r} (expected exit codes from 0 to 255, with commas between them)")
    return codes


def _variables(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    variables = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not is_variable(name):
            raise click.BadParameter(f"{text!r} (expected NAME or NAME=VALUE, with no blank in NAME)")
        if not equals and name not in os.environ:
            raise click.BadParameter(f"{name!r} (expected a variable that is set here, or NAME=VALUE)")
        variables[name] = value if equals else os.environ[name]
    return variables


def _directory(_context: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
    if path is None:
        return None
    if not path:
        raise click.BadParameter(f"{path!r} (expected a directory)")
    return str(Path(path).absolute())


def _text_directory(_context: click.Context, _parameter: click.Parameter, path: str | None) -> str | None:
    if path == "":
        raise click.BadParameter(f"{path!r} (expected a directory)")
    try:
        (path or "").encode()
    except UnicodeEncodeError:
        raise click.BadParameter(f"{path!a} (expected a directory whose name is UTF-8)") from None
    return path


#: How a program runs.
running = option_group(
    click.option("--workdir", callback=_directory, metavar="DIR", help="Directory that programs run in."),
    click.option(
        "--env", callback=_variables, multiple=True, metavar="NAME[=VALUE]", help="A variable that programs get."
    ),
    click.option("--ok-codes", callback=_codes, metavar="N,…", help="Exit codes that are a success; default: 0."),
    click.option(
        "--output-dir",
        callback=_text_directory,
        metavar="DIR",
        help="Save the output of each item below DIR, on the worker's host: a folder for each item.",
    ),
)


#: How the output of programs is printed.
printing = option_group(
    click.option("--tag", is_flag=True, help="Print its input and a tab before each line of a program's output."),
    click.option("--joblog", metavar="FILE", help="Write a line for each program that ended, as GNU parallel does."),
)


#: Options with which items start later, when what is not there yet may be.
_LATER = ("after", "from_batch", "at", "delay", "cron", "every")


def of_command(feeding: dict[str, Any]) -> dict[str, Any]:
    """What `running` says, as fields of a CommandLine.

    On a private server programs run where the command was called; elsewhere hosts have directories of their own.

    Raises:
        click.BadParameter: a directory does not exist, or cannot be made, on the host of a private server's workers.
    """
    workdir, output_dir = feeding["workdir"], feeding["output_dir"]
    if output_dir:
        output_dir = str(Path(output_dir).absolute())
    if not settings().redis_url:
        workdir = os.getcwd() if workdir is None else workdir  # noqa: PTH109
        if not any(feeding.get(name) for name in _LATER):
            _check_workdir(workdir)
        if output_dir:
            check_output_dir(output_dir, output_dir)
    return {
        "workdir": workdir or "",
        "env": feeding["env"],
        "ok_codes": feeding["ok_codes"] or (0,),
        "output_dir": output_dir or "",
    }


def _check_workdir(path: str) -> None:
    if reason := fault(path, os.X_OK):
        raise click.BadParameter(f"{path!r} (expected a directory; {reason})", param_hint="--workdir")


def refuse_with_task(feeding: dict[str, Any]) -> None:
    """Refuse the options of programs beside a task.

    Raises:
        click.UsageError: one was given.
    """
    for name in ("shell", "workdir", "env", "ok_codes"):
        if feeding[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with a program: put -- before it")
