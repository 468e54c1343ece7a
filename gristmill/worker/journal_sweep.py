"""Reads the journals that killed slots of this host have left: counts their runs, deletes their unfinished folders."""

import os
import shutil
from contextlib import suppress
from json import loads
from pathlib import Path

from redis import Redis

from gristmill.batches.run_count import ProgramRun, RunCount
from gristmill.config.settings import Settings
from gristmill.worker.program_files import PART
from gristmill.worker.run_journal import directory, lock

#: Seconds between two looks.
SWEEP_SECONDS = 2.0


class JournalSweep:
    """The journals for one server, of the workers of this host."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._count = RunCount(client, settings)
        self._directory = directory(settings)

    def step(self) -> int:
        """Count and delete the journals whose slot is gone; return how many runs those were.

        Raises:
            RedisError: the server cannot be reached; the journals stay.
            OSError: a journal cannot be read, or a folder be deleted; the same.
        """
        return sum(map(self._count_journal, self._paths()))

    def _paths(self) -> list[Path]:
        with suppress(FileNotFoundError):
            return list(self._directory.iterdir())
        return []

    def _count_journal(self, path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            # Another worker was faster.
            return 0
        try:
            if not lock(descriptor):
                return 0
            head, *lines = path.read_bytes().split(b"\n")
            runs = []
            for index, started, folder in map(loads, lines[:-1]):
                # The last line is empty, or was not written whole.
                runs.append(ProgramRun(index, started))
                if folder.endswith(PART):
                    _delete(Path(folder))
            number = 0
            if runs:
                batch = loads(head)
                number = self._count.add(str(batch["batch"]), int(batch["epoch"]), runs, path.name)
            path.unlink(missing_ok=True)
            return number
        finally:
            os.close(descriptor)


def _delete(folder: Path) -> None:
    # What the program has started may still write to it.
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
