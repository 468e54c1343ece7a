"""The part of an output file that is written so far: it outlives its process, and becomes the file when it is whole."""

import csv
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gristmill.errors import InputError


class Partial:
    """What is written of the file at `path`; `whose` tells apart what may not be mixed in one file, "" begins anew.

    Only one process writes it at a time.

    Raises:
        InputError: it cannot be written, or another process writes it.
    """

    def __init__(self, path: Path, whose: str) -> None:
        self._path = path
        name = f".{path.name}.{hashlib.sha256(whose.encode()).hexdigest()[:8]}.part"
        self.path = path.with_name(name)
        try:
            self.file = self._locked()
        except BlockingIOError:
            raise InputError(f"--output {str(path)!r} is being written by another command just now") from None
        except OSError as error:
            raise InputError(f"--output {str(path)!r} cannot be written: {error.strerror}") from None
        if not whose:
            self.file.truncate()

    def _locked(self) -> BinaryIO:
        while True:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Until it was locked, its last writer may have published it.
                if self.path.exists() and self.path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                    return file
            except BaseException:
                file.close()
                raise
            file.close()

    def resume(self, form: str) -> Iterator[tuple[int, str, int]]:
        """What is there, as index, state and attempts of each result; a last one that is torn is cut off.

        Raises:
            InputError: something else is there.
        """
        records, read = (_csv_records(self.file), _of_csv) if form == "csv" else (iter(self.file), _of_json)
        end = 0
        for number, record in enumerate(records, 1):
            if not record.endswith(b"\n"):
                break
            if form != "csv" or number > 1:
                try:
                    yield read(record.decode())
                except (ValueError, LookupError, TypeError):
                    self.file.close()
                    raise InputError(
                        f"{str(self.path)!r}, line {number}, is no result: remove the file, and the command begins anew"
                    ) from None
            end += len(record)
        self.file.seek(end)
        self.file.truncate()

    def sync(self) -> None:
        """Have what was written survive a power cut."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Make it the file."""
        self.sync()
        self.path.replace(self._path)
        self.file.close()

    def keep(self) -> None:
        """Leave it for another go."""
        self.file.close()

    def drop(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self.file.close()


def _csv_records(lines: BinaryIO) -> Iterator[bytes]:
    """Records as `csv` writes them: a line's end within quotes does not end one."""
    record = b""
    for line in lines:
        record += line
        if record.count(b'"') % 2 == 0:
            yield record
            record = b""
    if record:
        # Torn, even if a line ends with it.
        yield record.rstrip(b"\n")


def _of_csv(record: str) -> tuple[int, str, int]:
    index, _, state, _, _, attempts, *_ = next(csv.reader(io.StringIO(record, newline="")))
    return int(index), state, int(attempts)


def _of_json(record: str) -> tuple[int, str, int]:
    found = json.loads(record)
    return int(found["index"]), found["state"], int(found["attempts"])
