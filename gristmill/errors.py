"""The errors of Gristmill: what a caller may catch, and the form of their text.

GristmillError          exit 1
├── BatchCancelled      exit 1
├── InputError          exit 2
├── ItemFailed          exit 1
├── SettingError        exit 2
└── ServerError         exit 3
    └── ServerFull      exit 3

A wait that exceeds its limit raises Python's own TimeoutError (exit 124).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.batches.result import Result

#: Characters of a value that an error shows.
_EXCERPT_CHARACTERS = 80


class GristmillError(Exception):
    """The root of all errors here: `str(error)` is one line for a person, `exit_code` the code of a command."""

    exit_code = 1


class BatchCancelled(GristmillError):
    """Raised when somebody, or the batch's `halt`, cancelled the batch before `submit` had stored all its items."""


class InputError(GristmillError):
    """Raised when an item, an option or a name is not valid: the caller can correct it and try again."""

    exit_code = 2


class ItemFailed(GristmillError):
    """Raised by `Batch.values` at the first item that has no value: it failed, is dead or was cancelled."""

    def __init__(self, message: str, result: "Result") -> None:
        super().__init__(message, result)
        #: The item's Result: its index, its input and its error.
        self.result = result

    def __str__(self) -> str:
        return str(self.args[0])


class SettingError(GristmillError):
    """Raised when a setting of this host is not valid.

    It is no InputError: a web handler that reports the faults of its client's input must not report these.
    """

    exit_code = 2


class ServerError(GristmillError):
    """Raised when the Redis server cannot be reached or refuses a command, or no worker is up that could answer."""

    exit_code = 3


class ServerFull(ServerError):
    """Raised when the server has no room for a write, in memory or on its disk: a later attempt may succeed."""


def invalid_value(name: str, value: object, expected: str, *, hidden: bool = False) -> str:
    """The text of an error about one value: `invalid value for n: 'ten' (expected an integer from 0 to 50)`."""
    return f"invalid value for {name}: {'(hidden)' if hidden else excerpt(value)} (expected {expected})"


def unknown_batch(name: str) -> InputError:
    """The error about a batch that is not on the server."""
    return InputError(f"no batch is called {name!r}: `gristmill batches` lists them")


def excerpt(value: object) -> str:
    """The value as an error shows it: on one line, at most 80 characters of it."""
    try:
        text = repr(value)
    except Exception as error:
        # An integer of more than 4,300 digits has none, and an object may have a broken one.
        return f"a value of type {type(value).__name__} ({error})"
    return text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}… ({len(text):,} characters)"
