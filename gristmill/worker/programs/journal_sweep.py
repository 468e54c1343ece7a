"""Reads the journals that killed slots of this host have left: counts their runs, deletes their unfinished folders."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from json import loads
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from gristmill.batches.run_count import ProgramRun, RunCount
from gristmill.config.settings import Settings
from gristmill.errors import GristmillError
from gristmill.worker.programs.files import delete_draft
from gristmill.worker.programs.journal import directory, lock
from gristmill.worker.rare_log import RareLog

#: Seconds between two looks.
SWEEP_SECONDS = 2.0

rare_log = RareLog(logging.getLogger(__name__))


class JournalSweep:
    """The journals for one server, of the workers of this host."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._count = RunCount(client, settings)
        self._directory = directory(settings)
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Call `step` in a thread if a slot is gone: the folders may be on a network file system, which may hang."""
        if (self._thread is None or not self._thread.is_alive()) and any(map(_is_left, self._paths())):
            self._thread = threading.Thread(target=self._step, name="journal-sweep", daemon=True)
            self._thread.start()

    def _step(self) -> None:
        try:
            self.step()
        except (RedisError, GristmillError, OSError, ValueError) as error:
            rare_log.warning("journal", "cannot count programs that were killed, retrying: %s", error)

    def step(self) -> int:
        """Count and delete the journals whose slot is gone; return how many runs those were.

        Raises:
            RedisError: the server cannot be reached; the journals stay.
            OSError, ValueError: a journal cannot be read, or a folder be deleted; the others are counted.
        """
        number, problem = 0, None
        for path in self._paths():
            try:
                number += self._count_journal(path)
            except (OSError, ValueError) as error:
                # One journal must not keep the others.
                problem = error
        if problem:
            raise problem
        return number

    def _paths(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return list(self._directory.iterdir())
        return []

    def _count_journal(self, path: Path) -> int:
        with _locked(path) as is_left:
            if not is_left:
                return 0
            head, *lines = path.read_bytes().split(b"\n")
            runs = []
            for index, started, folder in map(loads, lines[:-1]):
                # The last line is empty, or was not written whole.
                runs.append(ProgramRun(index, started))
                delete_draft(folder)
            number = 0
            if runs:
                batch = loads(head)
                number = self._count.add(str(batch["batch"]), int(batch["epoch"]), runs, path.name)
            path.unlink(missing_ok=True)
            return number


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the slot of a journal is gone; nobody else reads the journal meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        # Another worker was faster.
        yield False
        return
    try:
        yield lock(descriptor)
    finally:
        os.close(descriptor)


def _is_left(path: Path) -> bool:
    with _locked(path) as is_left:
        return is_left
