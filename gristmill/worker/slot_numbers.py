"""The numbers of a worker's slots among all slots of its queue on this host, as `item.slot` tells a task."""

import fcntl
import logging
import os
import tempfile
from pathlib import Path

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
        self._files: list[int] = []

    def take(self, queue: str, count: int) -> list[int]:
        """The `count` lowest numbers that no other process of this host holds for the queue.

        Where the file cannot be made, they are the first ones, whatever other workers have.
        """
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            file = os.open(self._directory / queue, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            log.warning("cannot number the slots beside those of other workers of this host: %s", error)
            return list(range(count))
        self._files.append(file)
        numbers: list[int] = []
        for number in range(count + OTHERS_MOST):
            if len(numbers) == count:
                break
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError:
                continue
            numbers.append(number)
        return numbers


slot_numbers = SlotNumbers()
