"""The open descriptors of this process: what each is, and whether it still is that."""

import fcntl
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from os import fstat

#: Where the copies of standard streams are: a task that closes "all" descriptors closes the low ones.
_COPIES = 200
#: The inode and the device of what is open.
Identity = tuple[int, int]


def identity(number: int) -> Identity:
    """What is open under a number.

    Raises:
        OSError: nothing is.
    """
    return fstat(number)[1:3]


def is_still(number: int, expected: Identity) -> bool:
    """Whether a descriptor is what it was."""
    try:
        return fstat(number)[1:3] == expected
    except OSError:
        return False


def lost(before: dict[int, Identity]) -> list[int]:
    """The descriptors that are not what they were."""
    return [number for number, expected in before.items() if not is_still(number, expected)]


def copy_of(number: int) -> int | None:
    """A copy of a descriptor, under a high number; None if there is nothing to copy."""
    with suppress(OSError):
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _COPIES)
    return None


def identities() -> dict[int, Identity]:
    """The open descriptors of this process, and what each is."""
    open_now = {}
    for name in os.listdir("/dev/fd"):  # noqa: PTH208
        with suppress(OSError):
            open_now[int(name)] = identity(int(name))
    return open_now


def open_numbers(limit: int) -> Iterable[int]:
    """The numbers of all descriptors that may be open."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208
    except OSError:
        # There is none left to open the directory with.
        return range(limit)


def open_count() -> int:
    """The number of open descriptors; Linux before 6.2 does not tell it as the size of the directory."""
    try:
        return (sys.platform == "linux" and os.stat("/proc/self/fd").st_size) or len(os.listdir("/dev/fd"))  # noqa: PTH208, PTH116
    except OSError:
        # There is none left to open the directory with.
        return sys.maxsize
