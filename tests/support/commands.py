"""The commands as click has them."""

import click

from gristmill.cli import COMMANDS, cli


def command_named(name: str) -> click.Command:
    """A command, or with two words one of a group's."""
    command: click.Command = cli
    for word in name.split():
        assert isinstance(command, click.Group)
        part = command.get_command(click.Context(command), word)
        assert part, name
        command = part
    return command


def commands() -> list[str]:
    """Every command, and those of a group in its place."""
    names = []
    for name in COMMANDS:
        command = command_named(name)
        names += [f"{name} {part}" for part in command.commands] if isinstance(command, click.Group) else [name]
    return names
