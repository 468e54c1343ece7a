"""A line of the report of `gristmill doctor`."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One line of the report; `advice` is empty when all is well."""

    check: str
    state: str
    advice: str = ""
