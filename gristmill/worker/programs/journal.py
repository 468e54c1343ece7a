"""The journal of programs: a file for each slot, with the runs that have begun and are not recorded.

A slot that is killed leaves its file. `journal_sweep.py` reads it, deletes the folders that the runs have not finished,
and counts the runs as duplicates: their items run again. The kernel keeps what was written, whatever becomes of the
process; a power cut loses it.
"""

import fcntl
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from json import dumps
from pathlib import Path

from gristmill.batches.chunk import Chunk
from gristmill.config.settings import Settings, settings
from gristmill.worker.rare_log import RareLog
from gristmill.worker.restoration.descriptors import identity, is_still

rare_log = RareLog(logging.getLogger(__name__))
_NO_FOLDER = '""'


def directory(of: Settings) -> Path:
    """Where the journals of this host's workers are, for one server and prefix; user and password do not matter."""
    server = re.sub(r"//[^@/]*@", "//", of.redis_url or "")
    return of.home / "runs" / sha256(f"{server} {of.prefix}".encode()).hexdigest()[:16]


def lock(descriptor: int) -> bool:
    """Lock a journal until its descriptor is closed; False if its slot lives."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class RunJournal:
    """The journal of one slot; one that cannot be written is a line in the log, and no failure of an item."""

    def __init__(self) -> None:
        self._descriptor, self._identity = -1, (0, 0)
        self._chunk: Chunk | None = None
        #: Whether the file has runs, and the bytes of its head.
        self._has_runs, self._head = False, 0

    @contextmanager
    def of(self, chunk: Chunk) -> Iterator[None]:
        """The programs that begin meanwhile are of the batch of `chunk`. If this raises, their runs have no record."""
        self._chunk, self._head = chunk, 0
        try:
            yield
        except BaseException:
            self._close()
            raise
        finally:
            self._chunk = None

    def begin(self, index: int, started: float = 0.0, folder: str = "") -> None:
        """The program of an item starts, at `started` (Unix time, as in its outcome; 0: nobody has told it).

        It writes to `folder`, which has another name once it has ended; empty: it writes to none.
        A quarantine process notes nothing: the process that records its items does.
        """
        if self._chunk is None:
            return
        try:
            self._write(self._chunk, f"[{index},{started:.3f},{dumps(folder) if folder else _NO_FOLDER}]\n".encode())
        except OSError as error:
            rare_log.warning("journal", "cannot note which programs begin, so a kill leaves them uncounted: %s", error)

    def clear(self) -> None:
        """The outcomes of all runs so far are recorded."""
        if self._has_runs:
            self._has_runs = False
            if self._is_open():
                os.ftruncate(self._descriptor, self._head)

    def _write(self, chunk: Chunk, line: bytes) -> None:
        if not self._is_open():
            self._open()
            self._head = 0
        if not self._head:
            head = dumps({"batch": chunk.batch, "epoch": chunk.epoch}).encode() + b"\n"
            os.ftruncate(self._descriptor, 0)
            self._head = os.write(self._descriptor, head)
        os.write(self._descriptor, line)
        self._has_runs = True

    def _open(self) -> None:
        path = directory(settings())
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(3):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._descriptor = os.open(path / secrets.token_hex(16), flags, 0o600)
            is_locked = lock(self._descriptor)
            self._identity = identity(self._descriptor)
            # A sweep may have found the file before it was locked, and deleted it.
            if is_locked and os.fstat(self._descriptor).st_nlink:
                return
            self._close()
        raise OSError(None, "another process takes its files", str(path))

    def _is_open(self) -> bool:
        """Whether the descriptor is still the journal's: a task may have closed it."""
        return self._descriptor >= 0 and is_still(self._descriptor, self._identity)

    def _close(self) -> None:
        if self._is_open():
            os.close(self._descriptor)
        self._descriptor, self._has_runs = -1, False


class _JournalOfThread(threading.local):
    def __init__(self) -> None:
        self.journal = RunJournal()


_of_thread = _JournalOfThread()


def _leave_to_parent() -> None:
    # A copy of the process holds the lock too, and would keep it beyond the death of the slot.
    _of_thread.journal._close()
    _of_thread.journal = RunJournal()


os.register_at_fork(after_in_child=_leave_to_parent)


def run_journal() -> RunJournal:
    """The journal of this thread's slot."""
    return _of_thread.journal
