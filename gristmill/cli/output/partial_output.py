"""The part of an output file that exists so far: it outlives its command, and becomes the file at the end."""

import csv
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from gristmill.errors import InputError


class Partial:
    """The part of the file at `path` that exists so far.

    Parts with different resume keys are never mixed in one file; with the key "" the part begins anew. One process at
    a time writes a part.

    Raises:
        InputError: the part cannot be written, or another process writes it.
    """

    def __init__(self, path: Path, resume_key: str) -> None:
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):  # noqa: PTH113, PTH114
            # A directory; or a device or a link such as /dev/stdout, which the file would replace.
            raise InputError(f"cannot write to {str(path)!r}: it is not a regular file")
        self._path = path
        name = f".{path.name}.{hashlib.sha256(resume_key.encode()).hexdigest()[:8]}.part"
        self.path = path.with_name(name)
        try:
            self.file = self._locked()
        except BlockingIOError:
            raise InputError(
                f"another command is writing to {str(path)!r}: wait for it, or name another file"
            ) from None
        except OSError as error:
            raise InputError(f"cannot write to {str(path)!r}: {error.strerror}") from None
        if not resume_key:
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
        """Yield index, state and attempts of each result in the part, and remove a torn last line.

        Raises:
            InputError: a line is no result.
        """
        records, parse = (_csv_records(self.file), _of_csv) if form == "csv" else (iter(self.file), _of_json)
        end = 0
        for number, record in enumerate(records, 1):
            if not record.endswith(b"\n"):
                break
            if form != "csv" or number > 1:
                try:
                    yield parse(record.decode(errors="surrogateescape"))
                except (ValueError, LookupError, TypeError):
                    self.file.close()
                    raise InputError(
                        f"{str(self.path)!r}, line {number}, is not a result: remove the file to begin again"
                    ) from None
            end += len(record)
        self.file.seek(end)
        self.file.truncate()

    def header(self) -> str:
        """The first record of a part of a CSV file; empty if there is none."""
        end = self.file.tell()
        self.file.seek(0)
        record = next(_csv_records(self.file), b"")
        self.file.seek(end)
        return record.decode(errors="surrogateescape").removesuffix("\n")

    def sync(self) -> None:
        """Write the part to the disk, so that it survives a power cut."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Make the part the file."""
        self.sync()
        self.path.replace(self._path)
        self.file.close()

    def close(self) -> None:
        """Close the part, which stays for the same command to go on with."""
        # What is in its buffer could not be written, and that was said.
        with suppress(OSError):
            self.file.close()

    def drop(self) -> None:
        """Remove the part."""
        self.path.unlink(missing_ok=True)
        self.close()


def _csv_records(lines: BinaryIO) -> Iterator[bytes]:
    """Records as `csv` writes them: a newline in quotes does not end a record."""
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
    fields = json.loads(record)
    return int(fields["index"]), fields["state"], int(fields["attempts"])
