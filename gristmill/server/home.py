"""The home directory: its owner, and the address of its server. It is the same from every directory and terminal."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gristmill.config.names import NAME
from gristmill.errors import InputError, ServerError
from gristmill.server.lock import Lock

#: Bytes that must fit on the home's disk before a server that ended on a full disk is started again.
ROOM_BYTES = 1 << 20


class Holder(NamedTuple):
    """The process that owns a home: its kind, which is the command (`gristmill up`), and its pid."""

    kind: str
    pid: int

    def __str__(self) -> str:
        return f"`{self.kind}` (pid {self.pid})"


class ServerFile(BaseModel):
    """The content of `server.json`, from which every other command knows the running fleet.

    Attributes:
        url: the server's, password included.
        pid: the owner's.
        server_pid: the server's.
        dashboard: the dashboard's URL.
        data_root: the directory that file items are under.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Literal[1] = 1
    url: str = Field(pattern=r"^rediss?://", repr=False)
    pid: int = Field(gt=0)
    server_pid: int | None = None
    dashboard: str | None = None
    data_root: str | None = None


class Home:
    """A home directory: its owner's lock, `server.json`, the name of the last batch.

    The first write creates the directory, for its user alone; reading one that does not exist finds nothing.
    Every method raises ServerError if the directory cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock(path / "lock")

    @contextmanager
    def owned(self, kind: str) -> Iterator[None]:
        """Own the home, as `kind`, for the duration.

        Raises:
            InputError: another process owns the home; the error names it.
        """
        with self.usable():
            self._create(self.path)
            was_free = self._lock.acquire()
        if not was_free:
            raise InputError(
                f"{self.holder() or 'another process'} is running in {self.path}: "
                "stop it first, or set GRISTMILL_HOME to another directory"
            )
        try:
            with self.usable():
                os.ftruncate(self._lock.fileno(), 0)
                os.pwrite(self._lock.fileno(), f"{os.getpid()} {kind}\n".encode(), 0)
            yield
        finally:
            self._lock.release()

    def holder(self) -> Holder | None:
        """The home's living owner; None if it has none, or one that has not written its name yet."""
        with self.usable():
            if not self._lock.is_held():
                return None
            pid, _, kind = _text(self._lock.path).partition(" ")
        return Holder(kind.strip(), int(pid)) if pid.isdecimal() else None

    def folder(self, name: str) -> Path:
        """The path of a directory in the home; creates the directory if necessary."""
        with self.usable():
            self._create(self.path)
            self._create(self.path / name)
        return self.path / name

    def read(self) -> ServerFile | None:
        """The content of `server.json`; None if there is none. A killed owner may have left it behind.

        Raises:
            ServerError: the file is broken or cannot be read.
        """
        path = self.path / "server.json"
        with self.usable():
            try:
                text = path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return ServerFile.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in problem["loc"])
            raise ServerError(
                f"{path} is broken ({field + ': ' if field else ''}{problem['msg']}): "
                "stop `gristmill up` if it is running, delete the file, and start it again"
            ) from None

    def running(self) -> ServerFile | None:
        """The content of `server.json` if its owner lives, else None."""
        with self.usable():
            alive = self._lock.is_held()
        return self.read() if alive else None

    def write(self, content: ServerFile) -> None:
        """Replace `server.json` in one step."""
        self.replace("server.json", content.model_dump_json(indent=2) + "\n")

    def remove(self) -> None:
        """Delete `server.json`."""
        with self.usable():
            (self.path / "server.json").unlink(missing_ok=True)

    def replace(self, name: str, text: str) -> Path:
        """Replace a file of the home in one step, readable for its user alone; answers its path."""
        path = self.path / name
        with self.usable():
            self._create(path.parent)
            file, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as stream:
                    stream.write(text)
                Path(new).replace(path)
            except BaseException:
                Path(new).unlink(missing_ok=True)
                raise
        return path

    def has_room(self) -> bool:
        """Whether the home's disk has the ROOM_BYTES that a server needs to start."""
        if not self.path.is_dir():
            return True
        try:
            with tempfile.TemporaryFile(dir=self.path) as file:
                file.write(bytes(ROOM_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return error.errno not in (errno.ENOSPC, errno.EDQUOT)
        return True

    def crowded(self) -> str:
        """The line for a person about a home without room."""
        return f"the disk of {self.path} is full: free some space, then the server starts again"

    @property
    def last_batch(self) -> str | None:
        """The name of the batch last submitted from this host; None if there is none."""
        name = ""
        with suppress(OSError):
            name = _text(self.path / "last_batch").strip()
        return name if NAME.fullmatch(name) else None

    @last_batch.setter
    def last_batch(self, name: str) -> None:
        self.replace("last_batch", f"{name}\n")

    @contextmanager
    def usable(self) -> Iterator[None]:
        """Raise one line for a person instead of the system's error about a file of the home.

        Raises:
            ServerError: a file or directory of the home cannot be read or written.
        """
        try:
            yield
        except OSError as error:
            raise ServerError(
                f"the home directory {self.path} cannot be used: {error.strerror} (GRISTMILL_HOME names another one)"
            ) from error

    @staticmethod
    def _create(directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _text(path: Path) -> str:
    """The first line of a small file, whatever bytes it has."""
    with path.open("rb") as file:
        return file.read(256).decode(errors="replace").partition("\n")[0]
