"""The one grammar of durations, sizes and shares: commands, settings and the Python API read them here."""

import math
import re

#: The form of each kind of value, for errors.
DURATION = "a duration such as 90s, 30m, 12h or 7d (a bare number is in seconds)"
SIZE = "a size such as 512M or 4G (a bare number is in bytes)"
SHARE = "a share above 0% and up to 100%, such as 10%"
RATE = "a rate such as 10/s, 600/m or 1000/h, up to 1,000,000/s"
RANGE = "a range such as 0..8, or one number"
WIDTH = "a number from 1 such as 8, a share of the slots such as 50%, or all slots and some more such as +2"

#: The longest duration of an option, in seconds: ten years.
LONGEST_SECONDS = 3650 * 86_400

_NUMBER = r"(\d{1,15}(?:\.\d{1,6})?)"
_RATE_SECONDS = {"s": 1, "m": 60, "h": 3600}
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


def parse_rate(value: str) -> float:
    """How many a second, above 0, from text such as `10/s`, `600/m` or `1000/h`.

    Raises:
        ValueError: the value is no rate; the text is RATE.
    """
    match = re.fullmatch(r"([1-9]\d{0,9})/([smh])", value, re.ASCII)
    rate = int(match[1]) / _RATE_SECONDS[match[2]] if match else 0
    if not 0 < rate <= 1_000_000:
        raise ValueError(RATE)
    return rate


def parse_range(value: str) -> tuple[int, int]:
    """The least and the most, from text such as `0..8`; both are one number from `4`.

    Raises:
        ValueError: the value is no range; the text is RANGE.
    """
    match = re.fullmatch(r"(\d{1,9})(?:\.\.(\d{1,9}))?", value, re.ASCII)
    least, most = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if least > most:
        raise ValueError(RANGE)
    return least, most


def parse_width(value: str, slots: int) -> int:
    """How many of `slots` slots, 1 or more, from text such as `8`, `50%` (rounded down) or `+2`.

    Raises:
        ValueError: the value is none of these; the text is WIDTH.
    """
    if re.fullmatch(r"[1-9]\d{0,6}", value, re.ASCII):
        return int(value)
    if re.fullmatch(r"\+\d{1,7}", value, re.ASCII):
        return max(1, slots + int(value))
    match = re.fullmatch(rf"{_NUMBER}%", value, re.ASCII)
    if not match or not 0 < float(match[1]) <= 1_000_000:
        raise ValueError(WIDTH)
    return max(1, int(slots * float(match[1]) / 100))


def _split(value: str | float, units: str, expectation: str) -> tuple[float, str]:
    """A number that is finite and not negative, and its unit."""
    if isinstance(value, str):
        match = re.fullmatch(rf"{_NUMBER}([{units}]?)", value, re.ASCII)
        if match:
            return float(match[1]), match[2]
    elif not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value) and value >= 0:
        return float(value), ""
    raise ValueError(expectation)
