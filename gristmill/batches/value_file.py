"""A value in a file: one that is too large for the server, below the shared data root."""

import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from json import dumps, loads

# By name, as at the start of the process: a task may patch the module.
from os import (
    O_CLOEXEC,
    O_CREAT,
    O_EXCL,
    O_NOFOLLOW,
    O_NONBLOCK,
    O_RDONLY,
    O_WRONLY,
    close,
    fdopen,
    fstat,
    fsync,
    rename,
    unlink,
    write,
)
from os import open as open_file
from pathlib import PurePosixPath
from secrets import token_hex
from stat import S_ISREG
from typing import Any, Self

from gristmill.batches.folder import descend, opened
from gristmill.batches.shared_root import OWN
from gristmill.config.settings import Settings, variable
from gristmill.errors import SettingError

#: The folder of all values below the data root.
VALUES = (OWN, "values")
#: A file of a value, or its draft: index and attempt of the item, and random digits.
NAME = re.compile(r"\.?(?P<index>\d{1,15})-(?P<attempt>\d{1,9})-[0-9a-f]{16}\.(json|part)", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.[0-9a-f]{32}/\d+-\d+-[0-9a-f]{16}\.json", re.ASCII)


class FileText(str):
    """The text of an outcome whose value is in a file: the reference as JSON."""

    __slots__ = ()


class UnreadableValue(Exception):
    """Raised when the file of a value is not there, or is not as it was written."""


class NoSuchFolder(Exception):
    """Raised when the data root has no folder for the values of the batch."""


@dataclass(frozen=True, slots=True)
class ValueFile:
    """The reference to the file of a value: its path below the folder of all values, its size in bytes, its SHA-256."""

    path: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, fields: Any) -> Self:
        """The reference of an outcome.

        Raises:
            ValueError: it is none.
        """
        reference = cls(str(fields["path"]), int(fields["bytes"]), str(fields["sha256"]))
        # It comes from the server; whoever can write there shall not choose what is read here.
        if not _PATH.fullmatch(reference.path):
            raise ValueError(f"invalid path of a value: {reference.path!r}")
        return reference

    @classmethod
    def write(cls, root: str, folder: str, index: int, attempt: int, text: str) -> FileText:
        """Write the value of an attempt, as a whole or not at all; return the text of its outcome.

        When this returns, the file is there after a power cut too. `root` is the data root, `folder` the batch's.

        Raises:
            OSError: the disk is full, or the directory cannot be written to.
        """
        data = text.encode()
        name = f"{index}-{attempt}-{token_hex(8)}"
        draft = f".{name}.part"
        with opened(root, (*VALUES, folder), make=True, durable=True) as above:
            try:
                _write_all(draft, above, data)
                rename(draft, f"{name}.json", src_dir_fd=above, dst_dir_fd=above)
                fsync(above)
            except BaseException:
                with suppress(OSError):
                    unlink(draft, dir_fd=above)
                raise
        reference = cls(f"{folder}/{name}.json", len(data), sha256(data).hexdigest())
        return FileText(dumps(asdict(reference)))

    def where(self, root: str) -> str:
        """The path of the file below the data root `root`."""
        return str(PurePosixPath(root, *VALUES, self.path))

    def value(self, settings: Settings, what: str) -> Any:
        """The value; `what` says in an error whose it is.

        Raises:
            SettingError: the settings name no data root that all hosts see.
            NoSuchFolder: the data root has no folder of the batch, or it cannot be read.
            UnreadableValue: the file is missing, or is not as it was written.
        """
        if settings.data_root is None or not settings.shared_data_root:
            both = f"{variable('data_root')} to the directory that all hosts see, and {variable('shared_data_root')}"
            raise SettingError(f"{what} is in a file, {self.path!r}: to read it, set {both}=true")
        root = str(settings.data_root)
        folder, _, name = self.path.partition("/")
        try:
            above = descend(root, (*VALUES, folder))
        except OSError as error:
            raise NoSuchFolder(f"{self.where(root)!r}: {error.strerror}") from None
        try:
            file = open_file(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, dir_fd=above)
        except OSError as error:
            raise UnreadableValue(f"{self.where(root)!r}: {error.strerror}") from None
        finally:
            close(above)
        with fdopen(file, "rb") as stream:
            about = fstat(file)
            is_whole = S_ISREG(about.st_mode) and about.st_size == self.bytes
            data = stream.read() if is_whole else b""
        if not is_whole or sha256(data).hexdigest() != self.sha256:
            raise UnreadableValue(f"{self.where(root)!r}: not the {self.bytes:,} bytes that were written")
        return loads(data)


def _write_all(name: str, folder: int, data: bytes) -> None:
    file = open_file(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o666, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[write(file, rest) :]
        fsync(file)
    finally:
        close(file)
