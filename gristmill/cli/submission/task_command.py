"""How `run` and `submit` read their words: a task comes first, or `--` and a program."""

from typing import Any

import click

from gristmill.cli import other_tools
from gristmill.cli.command import Command
from gristmill.cli.console import note
from gristmill.cli.submission import argv
from gristmill.producer.submission import NoItems


class TaskCommand(Command):
    """A command whose first word is a task; `--` before it begins a program, `--` after it ends the options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, which cannot tell the two `--` apart; `program` and `sources` are parameters too."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        options, program, sources = argv.split(args, lambda words: self._first_word(ctx, words))
        rest = super().parse_args(ctx, options)
        ctx.params |= {"program": program, "sources": sources}
        return rest

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """What click cannot know: a program, and sources of items."""
        return ["[OPTIONS]", "{TASK [ITEM]...|-- PROGRAM...}", "[::: INPUT...]"]

    def invoke(self, ctx: click.Context) -> Any:
        """As the base's; no items are no error where `--allow-empty` says so."""
        try:
            return super().invoke(ctx)
        except NoItems as error:
            if not ctx.params["allow_empty"]:
                raise
            note(f"{error}: nothing was submitted")
            return 0

    def unknown_option(self, option: str, args: list[str]) -> str:
        """As the base's, for an option that is really an item, or belongs to a program."""
        if option[1:].isdigit():
            return f"no option {option}: put -- after TASK before items that begin with a dash"
        word = self._first_word(click.Context(self), args)
        if not word or word.startswith("-") or (option.startswith("--") and option in other_tools.OPTIONS):
            return super().unknown_option(option, args)
        from gristmill.cli.submission.task_names import is_task, no_task

        if not is_task(word):
            return no_task(word)
        return super().unknown_option(option, args)

    def _first_word(self, ctx: click.Context, args: list[str]) -> str | None:
        """The first of `args` that is neither an option nor an option's value."""
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        try:
            options, _, _ = parser.parse_args(list(args))
        except click.UsageError:
            return ""
        word = options.get("task")
        return word if isinstance(word, str) else None
