"""The command line: `gristmill`, one file a command."""

import importlib
import os
import sys
from difflib import get_close_matches
from typing import Any

import click

from gristmill.cli.console import stderr, warn
from gristmill.config import environment, settings
from gristmill.config.settings import Settings
from gristmill.errors import GristmillError

#: The commands, in the order in which help lists them.
COMMANDS = (
    "demo",
    "run",
    "up",
    "tasks",
    "submit",
    "watch",
    "results",
    "retry",
    "cancel",
    "pause",
    "resume",
    "batches",
    "forget",
    "dead",
    "workers",
    "announce",
    "compare",
    "doctor",
)
TIMED_OUT, INTERRUPTED = 124, 130


class Commands(click.Group):
    """Loads a command's file when it is asked for, so that `--help` does not wait for Celery."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in their order."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"gristmill.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click's, with the nearest name offered."""
        if args[0] not in COMMANDS:
            near = get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"no command {args[0]!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gristmill", message="%(prog)s %(version)s")
def cli() -> None:
    """Run batches of Python work on many cores and many hosts, and lose none of it.

    \b
    Examples:
      gristmill demo                                   see it work
      gristmill run fibonacci 30 31 32                 one batch, here and now
      gristmill up                                     workers and dashboard on this host
      seq 1 30 | gristmill submit fibonacci --from -   hand a batch to them
      gristmill watch                                  follow the last batch
    """
    fields = Settings.model_fields
    for name, near in environment.unknown(fields, fields["home"].get_default()):
        warn(f"{name} is no setting" + (f": did you mean {near}?" if near else ""))
    settings()


def main() -> None:
    """Run the command line and exit with its code."""
    code = _run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _closed()
    sys.exit(code)


def _run() -> int:
    stdout = sys.stdout
    try:
        answer = cli.main(prog_name="gristmill", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "gristmill"
        return _fail(f"{error.format_message().rstrip('.')}: see `{path} --help`", error.exit_code)
    except SystemExit:
        # Click's answer to a closed stdout is 1; ours is that the reader has had enough.
        if sys.stdout is not stdout:
            return _closed()
        raise
    except GristmillError as error:
        return _fail(str(error), error.exit_code)
    except TimeoutError as error:
        return _fail(str(error), TIMED_OUT)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _closed()
    return answer if isinstance(answer, int) else 0


def _fail(text: str, code: int) -> int:
    stderr.print(f"gristmill: {text}", markup=False, style="red")
    return code


def _closed() -> int:
    # What is still buffered must not raise once more while Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
