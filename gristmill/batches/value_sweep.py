"""Deletes files of values that count for nothing: those to which no outcome refers, and none can."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from redis import Redis

from gristmill.batches.chunk import attempts_of
from gristmill.batches.folder import opened
from gristmill.batches.outcomes import BUCKET, stored
from gristmill.batches.shared_root import SharedRoot
from gristmill.batches.value_file import NAME, VALUES, ValueFile
from gristmill.config.settings import Settings

#: Milliseconds for which a sweep is one worker's: the next comes a minute later.
CLAIM_MS = 55_000
#: Files of which one call asks.
_AT_ONCE = 200
#: What a sweep notes of a batch that is gone: its folder is looked at once more.
_ABSENT = "gone"
#: What stands in the state of a batch that makes files count for nothing.
_FIELDS = ("duplicates", "consumed", "finished", "epoch")
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file of a value, or its draft."""

    name: str
    index: int
    attempt: int


class ValueSweep:
    """Sweeps the folders of values of the batches on one server."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client, self._settings = client, settings
        self._root = SharedRoot(client, settings)
        self._folders = settings.key("value_folders")

    def claim(self) -> bool:
        """Whether this caller is to sweep now: one of all does, once a minute."""
        return bool(self.client.set(self._settings.key("value_sweep"), "1", nx=True, px=CLAIM_MS))

    def sweep(self) -> int:
        """Delete what counts for nothing, in the folders of batches that have changed; return the number of files.

        Deletes nothing where the data root is not the one that all hosts share.

        Raises:
            RedisError: the server cannot be reached.
            OSError: a folder cannot be read or written to.
        """
        mark = self._root.mark()
        if mark is None or not self._root.is_seen(mark):
            return 0
        folders = cast(dict[str, str], self.client.hgetall(self._folders))
        deleted, problem = 0, None
        for folder, note in folders.items():
            try:
                deleted += self._sweep(folder, *note.split(" ", 1))
            except OSError as error:
                # One folder must not keep the others.
                problem = OSError(error.errno, error.strerror, folder)
        if problem:
            raise problem
        return deleted

    def _sweep(self, folder: str, batch: str, before: str) -> int:
        if not _FOLDER.fullmatch(folder):
            return 0
        state = self._settings.key(f"batch:{batch}:state")
        own, *fields = cast(list[str | None], self.client.hmget(state, "value_folder", *_FIELDS))
        if own != folder:
            # A process that had begun a file may make the folder again: it is deleted for good a sweep later.
            deleted = self._delete_folder(folder)
            if before == _ABSENT:
                self.client.hdel(self._folders, folder)
            else:
                self.client.hset(self._folders, folder, f"{batch} {_ABSENT}")
            return deleted
        note = ",".join(field or "" for field in fields)
        deleted = 0
        if note != before:
            deleted = self._sweep_files(folder, batch)
            self.client.hset(self._folders, folder, f"{batch} {note}")
        return deleted

    def _sweep_files(self, folder: str, batch: str) -> int:
        deleted = 0
        with suppress(FileNotFoundError), opened(self._root.path, (*VALUES, folder)) as above:
            files = list(_files(above))
            for start in range(0, len(files), _AT_ONCE):
                portion = files[start : start + _AT_ONCE]
                for file, counts in zip(portion, self._counts(folder, batch, portion), strict=True):
                    if not counts:
                        os.unlink(file.name, dir_fd=above)
                        deleted += 1
        return deleted

    def _counts(self, folder: str, batch: str, files: list[_Candidate]) -> Iterator[bool]:
        """Whether each file is the value of an outcome, or may become one."""
        key = self._settings.key(f"batch:{batch}:")
        # As one transaction: between two calls a file may be recorded.
        with self.client.pipeline() as pipe:
            pipe.hmget(f"{key}state", "value_folder", "finished")
            for file in files:
                pipe.hget(f"{key}out:{file.index // BUCKET}", str(file.index))
                pipe.getbit(f"{key}done", file.index)
                pipe.getbit(f"{key}cancelled", file.index)
                pipe.hget(f"{key}attempts", str(file.index))
            (own, finished), *answers = pipe.execute()
        for place, file in enumerate(files):
            outcome, done, cancelled, attempts = answers[4 * place : 4 * place + 4]
            if own != folder:
                # The next sweep deletes the whole folder.
                yield True
            elif outcome is not None and _path_in(outcome) == f"{folder}/{file.name}":
                yield True
            else:
                # The outcome of a cancelled item may count after `retry`, which voids all once the batch has finished.
                is_over = finished or (done and not cancelled) or attempts_of(attempts)[0] >= file.attempt
                yield not is_over

    def _delete_folder(self, folder: str) -> int:
        deleted = 0
        with suppress(FileNotFoundError), opened(self._root.path, VALUES) as above:
            with opened(self._root.path, (*VALUES, folder)) as inner:
                for file in _files(inner):
                    os.unlink(file.name, dir_fd=inner)
                    deleted += 1
            os.rmdir(folder, dir_fd=above)
        return deleted


def _files(folder: int) -> Iterator[_Candidate]:
    """The files of values in a folder; others are not ours."""
    for name in os.listdir(folder):
        if match := NAME.fullmatch(name):
            yield _Candidate(name, int(match["index"]), int(match["attempt"]))


def _path_in(outcome: str) -> str:
    """The path of the file to which a stored outcome refers; empty if it does to none."""
    value = next(stored(outcome)).value
    return value.path if isinstance(value, ValueFile) else ""
