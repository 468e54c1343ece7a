"""The command line: `gristmill`, one file a command.

Help loads click and no more; what all commands need is loaded when one begins.
"""

import errno
import gc
import importlib
import io
import os
import sys
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from gristmill.cli.command import Group
from gristmill.errors import GristmillError
from gristmill.loading import loading

#: The commands in the order in which help lists them, each with the line that help has of it. The lines stand here
#: so that `gristmill --help` loads no command.
SECTIONS = {
    "Start": {
        "demo": "See the main job end to end, in a temporary home",
        "run": "Run a batch here and now, and print its results",
        "up": "Run server, workers and dashboard on this host",
        "tasks": "List the tasks that this host and the workers know",
    },
    "Batches": {
        "submit": "Store a batch for the workers that run",
        "watch": "Follow a batch to its end with a bar",
        "results": "Print the results of a batch",
        "busy": "List the items that run now, the slowest first",
        "logs": "Print what the items of a batch wrote",
        "retry": "Run the failed and dead items of a batch again",
        "cancel": "Stop a batch; items that run finish",
        "close": "Take no more items into an open batch",
        "pause": "Hold a batch; items that run finish",
        "resume": "Go on with a paused batch",
        "batches": "List the batches on the server",
        "delete": "Delete a batch with its items and results",
        "schedule": "List, run, pause, resume or delete schedules",
    },
    "Workers": {
        "workers": "List the live workers: slots, busy slots, rate",
        "drain": "Have workers finish what runs and take nothing new",
        "undrain": "Have drained workers take items again",
        "autoscale": "Give the queues as many slots as they need, or none",
        "audit": "List who did what",
        "dead": "List, requeue or delete messages given up on",
        "doctor": "Check server, workers and settings; say what to do",
    },
    "Learn": {
        "announce": "Hear two speak in turn, then in two threads",
        "compare": "Measure threads, processes and workers side by side",
    },
    "Shell": {
        "help": "Show help on a command, or for users of parallel",
        "completion": "Print a completion script for bash, zsh or fish",
    },
}
COMMANDS = tuple(name for section in SECTIONS.values() for name in section)
TIMED_OUT, INTERRUPTED = 124, 130
#: Why what a command prints, or the file that it makes, cannot be written: no fault of ours.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Commands(Group):
    """Loads a command's file when somebody calls the command."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in their order."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None."""
        if cmd_name not in COMMANDS:
            return None
        with loading():
            command: click.Command = importlib.import_module(f"gristmill.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, and options; no command is loaded."""
        lines = {name: line for section in SECTIONS.values() for name, line in section.items()}
        commands = [CompletionItem(name, help=line) for name, line in lines.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section; no command is loaded."""
        width = max(map(len, COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", line) for name, line in commands.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gristmill", message="%(prog)s %(version)s")
def cli() -> None:
    """Run batches of Python work on many cores and many hosts, and lose none of it.

    \b
    Examples:
      gristmill demo                                    see it work
      gristmill run fibonacci 30 31 32                  one batch, here and now
      gristmill up                                      a fleet on this host
      seq 1 30 | gristmill submit fibonacci --from -    a batch for the fleet
      gristmill watch                                   follow the last batch
    """
    with loading():
        from gristmill.cli.console import warn
        from gristmill.config import environment
        from gristmill.config.settings import Settings, settings
        from gristmill.server.actor import acting
        from gristmill.server.identity import user_at_host

    for name, near in environment.unknown(Settings.model_fields):
        warn(f"{name} is not a setting" + (f": did you mean {near}?" if near else ""))
    settings()
    click.get_current_context().with_resource(acting(user_at_host(), "command"))


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.stdout is None:
        # The caller has closed it: nobody takes what is printed.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (it stays open; pathlib would take time to load)
    write_any_bytes()
    code = _run()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _unwritten(error)
    # At its end, Python would search all that the imports made for garbage, twice: 0.1 s of each command.
    gc.freeze()
    sys.exit(code)


def write_any_bytes() -> None:
    """Let stdout take names of files, which may have bytes that are no UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A stream that another one has replaced since its start may say that it can seek, and cannot.
        with suppress(OSError):
            sys.stdout.reconfigure(errors="surrogateescape")


def _run() -> int:
    stdout = sys.stdout
    try:
        answer = cli.main(prog_name="gristmill", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "gristmill"
        return _fail(f"{_explain(error)} (see `{path} --help`)", error.exit_code)
    except SystemExit:
        # Click answers a closed stdout with 1; Gristmill takes it that the reader has had enough.
        if sys.stdout is not stdout:
            return _closed()
        raise
    except GristmillError as error:
        return _fail(str(error), error.exit_code)
    except TimeoutError as error:
        return _fail(str(error), TIMED_OUT)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except OSError as error:
        return _unwritten(error)
    return answer if isinstance(answer, int) else 0


def _explain(error: click.UsageError) -> str:
    """A usage error in the form of all errors: `invalid value for --halt: '10' (expected …)`."""
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        name = error.param_hint or (error.param and error.param.opts[-1])
        if name:
            return f"invalid value for {name}: {error.message}"
    message = error.format_message().rstrip(".")
    return message[:1].lower() + message[1:]


def _fail(text: str, code: int) -> int:
    from gristmill.cli.console import say

    say(f"gristmill: {text}", "red")
    return code


def _unwritten(error: OSError) -> int:
    """The code when nobody takes what is printed, or there is no room for it; any other error is raised on."""
    if isinstance(error, BrokenPipeError):
        return _closed()
    if error.errno not in _NO_ROOM:
        raise error
    _closed()
    return _fail(f"cannot write: {error.strerror}", 1)


def _closed() -> int:
    # Python must not raise once more at its end for the rest of its buffer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
