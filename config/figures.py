"""Figures and text as people read them, in the terminal and on pages; and times, as documented fields have them."""

from datetime import UTC, datetime


def count(number: int, noun: str) -> str:
    """A number of things: `1 slot`, `2,500 slots`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def item_count(number: int, verb: str = "") -> str:
    """A number of items: `1 item`, `2,500 items`; with a verb, as `run`: `1 item runs`, `2,500 items run`."""
    if number != 1:
        return f"{number:,} items {verb}".rstrip()
    return f"1 item {'is' if verb == 'are' else verb and verb + 's'}".rstrip()


def duration(seconds: float) -> str:
    """Seconds in words: `7 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = whole % 3600 // 60
    return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")


def size(number: int) -> str:
    """Bytes in the grammar of sizes, rounded down: `512M`, `4G`, `1.5G`."""
    units = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"))
    unit, letter = next(((unit, letter) for unit, letter in units if number >= unit), (1, ""))
    return f"{number * 10 // unit / 10:g}{letter}"


def moment(seconds: float) -> str:
    """A Unix time in UTC, ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def local_moment(seconds: float) -> str:
    """A Unix time in this host's time zone: `2026-01-31 02:30:00+01:00`."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def printable(text: str) -> str:
    """The text with its control characters escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
