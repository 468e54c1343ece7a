"""`gristmill completion`."""

import click
from click.shell_completion import get_completion_class

from gristmill.cli.command import command as new_command
from gristmill.cli.console import write
from gristmill.cli.options.values import OneOf

SHELLS = ("bash", "zsh", "fish")


@new_command("completion")
@click.argument("shell", type=OneOf(SHELLS), metavar="bash|zsh|fish")
def command(shell: str) -> None:
    """Print a script that completes commands, options, tasks and batches in your shell.

    \b
    Examples:
      source <(gristmill completion bash)    # in ~/.bashrc
      source <(gristmill completion zsh)     # in ~/.zshrc
      gristmill completion fish > ~/.config/fish/completions/gristmill.fish
    """
    from gristmill.cli import cli

    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 - click has all of SHELLS
    write(completion(cli, {}, "gristmill", "_GRISTMILL_COMPLETE").source())
