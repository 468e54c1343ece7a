"""Numbers on the command lines of benchmarks."""

import argparse
import os
from collections.abc import Callable


def at_least(least: int) -> Callable[[str], int]:
    """A type of argparse's for integers."""

    def integer(text: str) -> int:
        try:
            number = int(text.replace("_", ""))
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not allowed: an integer of at least {least} is")
        return number

    return integer


def use_bytecode() -> None:
    """Let the processes that this one starts write and read compiled modules, as an installed package has them."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
