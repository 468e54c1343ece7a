"""The base of all commands: it reads their words, and explains a word that a command does not know."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import click

from gristmill.cli import other_tools


class Command(click.Command):
    """A command that knows other tools' options, and names its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's."""
        try:
            return super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            raise click.UsageError(self.unknown_option(error.option_name, args), ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """As click's; a usage error that the function raises names this command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def unknown_option(self, option: str, _args: list[str]) -> str:
        """The text of the error about an option that this command does not have."""
        if option in other_tools.OPTIONS:
            return f"no option {option}: {other_tools.OPTIONS[option]}"
        near = get_close_matches(option, [name for param in self.params for name in param.opts], 1)
        return f"no option {option}" + (f": did you mean {near[0]}?" if near else "")


class Group(click.Group):
    """A command with commands of its own."""

    command_class = Command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click's; an unknown word gets a hint: our name for another tool's command, or the nearest name."""
        names = self.list_commands(ctx)
        if args[0] in names or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = get_close_matches(args[0], names, 1)
        hint = other_tools.COMMANDS.get(args[0]) or (f"did you mean {near[0]!r}?" if near else "")
        raise click.UsageError(f"no command {args[0]!r}" + (f": {hint}" if hint else ""), ctx)


def command(name: str, kind: type[Command] = Command) -> Callable[[Callable[..., Any]], Command]:
    """A decorator that makes a function the command `name`."""
    return click.command(name, cls=kind)
