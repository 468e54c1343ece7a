"""The kinds of values that options take; each error names the value and what is expected."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from gristmill.config.quantities import DURATION, LONGEST_SECONDS, parse_duration, parse_range
from gristmill.errors import InputError


class Integer(click.ParamType[int]):
    """An integer within a range."""

    name = "N"

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The integer."""
        text = str(value)
        digits = text.removeprefix("-")
        number = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
        if number is None or not self.least <= number <= self.most:
            self.fail(f"{text!r} (expected an integer from {self.least:,} to {self.most:,})", param, ctx)
        return number


class Duration(click.ParamType[float]):
    """A duration, in seconds."""

    name = "DURATION"

    def __init__(self, least: float = 0, most: float = LONGEST_SECONDS) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Its seconds."""
        try:
            seconds = parse_duration(value)
        except ValueError:
            self.fail(f"{value!r} (expected {DURATION})", param, ctx)
        if not self.least <= seconds <= self.most:
            bounds = f"from {self.least:,.10g} to {self.most:,.10g} seconds"
            self.fail(f"{value!r} (expected a duration {bounds})", param, ctx)
        return seconds


class Range(click.ParamType[tuple[int, int]]):
    """A least and a most integer, as `0..8`."""

    name = "N..M"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Both."""
        try:
            least, most = parse_range(str(value))
        except ValueError as error:
            self.fail(f"{value!r} (expected {error})", param, ctx)
        if most > self.most:
            self.fail(f"{value!r} (expected integers up to {self.most:,})", param, ctx)
        return least, most


class OneOf(click.Choice[str]):
    """One of some words."""

    def __init__(self, words: Iterable[Any]) -> None:
        super().__init__([str(word) for word in words])

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Nothing: click's would list the words, a line for each, and the name in the error has them already."""
        return ""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:  # noqa: ARG002
        """What an error says."""
        return f"{value!r} (expected one of {', '.join(map(str, self.choices))})"


class Parsed(click.ParamType[Any]):
    """Text that a function of the API reads, which raises InputError."""

    def __init__(self, parse: Callable[[str], Any], *, keep_text: bool = False) -> None:
        self.name, self.parse, self.keep_text = parse.__name__, parse, keep_text

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the function made of the text, or the text."""
        if not isinstance(value, str):
            return value
        try:
            parsed = self.parse(value)
        except InputError as error:
            # The error names the API's keyword, and click the option.
            self.fail(str(error).partition(": ")[2], param, ctx)
        return value if self.keep_text else parsed
