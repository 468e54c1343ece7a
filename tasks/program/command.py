"""What a batch of programs shares: the words, and how a worker runs them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator

from gristmill.tasks.program.template import Template


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")
    if "\0" in value:
        raise ValueError("expected text without NUL: no program can be given one")
    return value


def is_variable(name: str) -> bool:
    """Whether a program can have a variable of that name: a blank in one is a slip, as in `A=1 B=2`."""
    return name.isprintable() and not {" ", "="} & {*name} and bool(name)


def _variable(name: str) -> str:
    if not is_variable(name):
        raise ValueError("expected the name of a variable, without blank and =")
    return name


#: Text that may have bytes outside UTF-8, each as a lone surrogate (Python's `surrogateescape`).
Text = Annotated[Any, AfterValidator(_text)]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command: `words` are its template, the program first.

    With `shell`, the words are one line for `sh -c`. The program runs in `workdir` (empty: the worker's own), with
    the variables of `env` added to the worker's. An exit code in `ok_codes` is a success. With `output_dir`, its
    output goes to a folder of its own below that directory of the worker's host.
    """

    words: tuple[Text, ...]
    shell: bool = False
    workdir: Text = ""
    env: Mapping[Annotated[str, AfterValidator(_variable)], Text] = field(default_factory=dict)
    ok_codes: tuple[int, ...] = (0,)
    output_dir: str = ""

    def __post_init__(self) -> None:
        """Check the words.

        Raises:
            InputError: there is no word, or one has NUL, or an expression in Perl.
        """
        Template.parse(self.words, shell=self.shell)
