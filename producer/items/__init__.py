"""The items of a batch, from arguments, a file or standard input, one by one as they were written."""

from collections.abc import Sequence

from gristmill.producer.items.concatenated import Concatenated
from gristmill.producer.items.file import FORMATS, File, Format, Reading
from gristmill.producer.items.lines import ITEM_BYTES, Raw
from gristmill.producer.items.parameter_values import ParameterValues
from gristmill.producer.items.source import Source

__all__ = ["FORMATS", "ITEM_BYTES", "Format", "Raw", "Reading", "Source", "arguments", "from_paths"]


def arguments(items: Sequence[str]) -> Source:
    """The items given on the command line; an empty one is an item too."""
    return ParameterValues(items, ranges=False)


def from_paths(paths: Sequence[str], reading: Reading) -> Source:
    """The items in some files, one after the other; "-" is standard input.

    Raises:
        InputError: an option is not valid, a file cannot be read, or they have different columns.
    """
    files = [File(path, reading) for path in paths]
    return files[0] if len(files) == 1 else Concatenated(files)
