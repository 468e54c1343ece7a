"""Reads the AOF of a server: its commands, and which of them a script wrote together."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Transaction:
    """Commands that are one step: those between MULTI and EXEC, or one alone. `start` and `end` are bytes of the file.

    `ends` has the byte behind each command, MULTI and EXEC included.
    """

    start: int
    end: int = 0
    commands: list[list[bytes]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


def transactions(data: bytes) -> Iterator[Transaction]:
    """The steps in the bytes of such a file; an unfinished one is left out."""
    step: Transaction | None = None
    at = 0
    while at < len(data):
        start, (command, at) = at, _command(data, at)
        name = command[0].upper()
        if step is None:
            step = Transaction(start)
            step.ends.append(at)
            if name == b"MULTI":
                continue
            step.commands.append(command)
        else:
            step.ends.append(at)
            if name != b"EXEC":
                step.commands.append(command)
                continue
        step.end = at
        yield step
        step = None


def _command(data: bytes, at: int) -> tuple[list[bytes], int]:
    count, at = _number(data, at, b"*")
    words = []
    for _ in range(count):
        size, at = _number(data, at, b"$")
        words.append(data[at : at + size])
        at += size + 2
    return words, at


def _number(data: bytes, at: int, mark: bytes) -> tuple[int, int]:
    while data[at : at + 1] == b"#":
        # A comment, such as the time.
        at = data.index(b"\n", at) + 1
    if data[at : at + 1] != mark:
        raise ValueError(f"invalid AOF: {data[at : at + 20]!r} at byte {at} (expected {mark!r})")
    end = data.index(b"\r\n", at)
    return int(data[at + 1 : end]), end + 2
