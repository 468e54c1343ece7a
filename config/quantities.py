"""The one grammar of durations, sizes and shares: commands, settings and the Python API read them here."""

import math
import re

#: The form of each kind of value, for errors.
DURATION = "a duration such as 90s, 30m, 12h or 7d (a bare number is in seconds)"
SIZE = "a size such as 512M or 4G (a bare number is in bytes)"
SHARE = "a share above 0% and up to 100%, such as 10%"

_NUMBER = r"(\d{1,15}(?:\.\d{1,6})?)"
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_duration(value: str | float) -> float:
    """Seconds, from a number of seconds or from text such as `90s`, `30m`, `12h`, `7d` or `45`.

    Raises:
        ValueError: the value is no duration; the text is DURATION.
    """
    number, unit = _split(value, "smhd", DURATION)
    return number * _SECONDS[unit]


def parse_size(value: str | float) -> int:
    """Bytes, from a number of bytes or from text such as `512M` or `4G`, in powers of 1024.

    Raises:
        ValueError: the value is no size; the text is SIZE.
    """
    number, unit = _split(value, "KMGT", SIZE)
    return round(number * _BYTES[unit])


def parse_share(value: str) -> float:
    """A share of all, above 0 and at most 1, from text such as `10%`.

    Raises:
        ValueError: the value is no share; the text is SHARE.
    """
    match = re.fullmatch(rf"{_NUMBER}%", value, re.ASCII)
    if not match or not 0 < float(match[1]) <= 100:
        raise ValueError(SHARE)
    return float(match[1]) / 100


def _split(value: str | float, units: str, expectation: str) -> tuple[float, str]:
    """A number that is finite and not negative, and its unit."""
    if isinstance(value, str):
        match = re.fullmatch(rf"{_NUMBER}([{units}]?)", value, re.ASCII)
        if match:
            return float(match[1]), match[2]
    elif not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value), ""
    raise ValueError(expectation)
