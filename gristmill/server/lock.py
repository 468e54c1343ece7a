"""A lock on a file, which the kernel releases when its holder dies."""

import fcntl
import os
import time
from pathlib import Path

#: Seconds for which `acquire` tries a lock that another holds: `Lock.is_held` takes it for an instant.
PROBE_SECONDS = 0.1

#: Seconds between two looks at what somebody waits for.
POLL_SECONDS = 0.02


class Lock:
    """An exclusive lock on a file. The kernel releases it when its holder dies, however that dies.

    The lock belongs to the open file: a child that was started with this file holds it too, any other child does not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self, seconds: float = 0) -> bool:
        """Take the lock, waiting up to `seconds` for it; False if another still holds it.

        Raises:
            OSError: the file cannot be created, or its file system has no locks.
        """
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            locked = self._poll(file, seconds)
        except BaseException:
            os.close(file)
            raise
        if locked:
            self._file = file
        else:
            os.close(file)
        return locked

    @staticmethod
    def _poll(file: int, seconds: float) -> bool:
        deadline = time.monotonic() + max(seconds, PROBE_SECONDS)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(POLL_SECONDS)
            else:
                return True

    def release(self) -> None:
        """Release the lock; a child that was started with the file keeps it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def fileno(self) -> int:
        """The number of the open file, to start a child with.

        Raises:
            ValueError: this object does not hold the lock.
        """
        if self._file is None:
            raise ValueError(f"the lock {self.path} is not held")
        return self._file

    def is_held(self) -> bool:
        """Whether anybody holds the lock, here or in another process.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            file = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False
