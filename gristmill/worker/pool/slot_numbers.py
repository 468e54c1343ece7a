"""The numbers of a worker's slots among all slots of its queue on this host, as `item.slot` tells a task."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)

#: What all workers of a user on this host share.
DIRECTORY = Path(tempfile.gettempdir()) / f"gristmill-slots-{os.getuid()}"
#: Numbers that are tried beyond those that a worker needs: those of other workers of the queue.
OTHERS_MOST = 4096


class SlotNumbers:
    """The numbers that this process holds, one for each of its slots.

    Each number is a lock on one byte of a file, which all workers of a queue on this host share. The kernel releases
    the locks of a process that ends, however it ends, so the next worker takes the same numbers again.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory or DIRECTORY
        #: Kept open: closing any descriptor of the file would release the locks.
        self._files: dict[str, int] = {}
        #: The queue of the last `take`, and the numbers of it.
        self._queue, self._numbers = "", list[int]()

    def take(self, queue: str, count: int) -> list[int]:
        """The `count` lowest numbers that no other process of this host holds for the queue.

        Where the file cannot be made, they are the first ones, whatever other workers have.
        """
        self._queue, self._numbers = queue, list(range(count))
        try:
            self._files[queue], self._numbers = open_locked(
                self._directory, queue, lambda file: _lock_bytes(file, count)
            )
        except OSError as error:
            log.warning("cannot number the slots beside those of other workers of this host: %s", error)
        return list(self._numbers)

    def more(self, count: int) -> list[int]:
        """The `count` next numbers for the queue of the last `take`."""
        file, after = self._files.get(self._queue), max(self._numbers, default=-1) + 1
        numbers = list(range(after, after + count)) if file is None else _lock_bytes(file, max(count, 0), after)
        self._numbers += numbers
        return numbers

    def release(self) -> None:
        """Let others have the numbers. The last worker of a queue removes the file."""
        for queue, file in self._files.items():
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (self._directory / queue).unlink()
            os.close(file)
        self._files.clear()
        with suppress(OSError):
            self._directory.rmdir()


def open_locked(directory: Path, name: str, lock: Callable[[int], Answer]) -> tuple[int, Answer]:
    """Open and lock a file that whoever holds it alone may remove; the descriptor, and what `lock` answers.

    Raises:
        OSError: the file cannot be made.
    """
    while True:
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            file = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            # Another process has removed the directory since.
            continue
        answer = lock(file)
        with suppress(FileNotFoundError):
            if os.path.samestat((directory / name).stat(), os.fstat(file)):
                return file, answer
        os.close(file)


def _lock_bytes(file: int, count: int, after: int = 0) -> list[int]:
    """Lock the first `count` bytes of a file from `after` on that no other process has locked; their places."""
    numbers: list[int] = []
    for number in range(after, after + count + OTHERS_MOST):
        if len(numbers) == count:
            break
        with suppress(OSError):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            numbers.append(number)
    return numbers


slot_numbers = SlotNumbers()
