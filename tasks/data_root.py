"""The data root: the one directory whose files tasks may read and write."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from gristmill.batches.folder import descend
from gristmill.config.settings import settings
from gristmill.errors import invalid_value

#: Follow no symlink: the path was resolved before.
_PLAIN = os.O_CLOEXEC | os.O_NOFOLLOW
#: A FIFO or a device answers at once instead of waiting for its other end.
_AT_ONCE = os.O_NONBLOCK | os.O_NOCTTY


class DataRootError(ValueError):
    """Raised when a path is not one that a task may use."""


def root() -> Path:
    """The data root: `GRISTMILL_DATA_ROOT`, or the directory that the process was started in."""
    return (settings().data_root or Path()).absolute()


def check_path(path: str, name: str = "path") -> None:
    """Refuse a path whose text alone shows that no worker may use it; `name` is the parameter's name, for the error.

    A producer can check an absolute path only when `GRISTMILL_DATA_ROOT` is set: otherwise the root is the directory in
    which the fleet was started, and the worker checks the path.

    Raises:
        DataRootError: the path is empty, cannot be a file's name, or is outside the root.
    """
    if not path or "\0" in path:
        raise DataRootError(invalid_value(name, path, "the path of a file under the data root"))
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise DataRootError(invalid_value(name, path, "a path that a file can have")) from None
    if not Path(path).is_absolute() or settings().data_root is not None:
        _lexical(root(), path, name)


def parts_below(top: Path, path: str, name: str) -> tuple[str, ...]:
    """The parts of a path below the data root `top`, with symlinks followed; missing parts stay as they are.

    Raises:
        DataRootError: the path is outside `top`; the text names the parameter `name`.
    """
    check_path(path, name)
    real_top = os.path.realpath(top)
    real = Path(os.path.realpath(_lexical(top, path, name)))
    if not real.is_relative_to(real_top):
        raise DataRootError(
            invalid_value(name, path, f"a path under the data root, {real_top!r}; a symlink leads out of it")
        )
    return real.relative_to(real_top).parts


def open_under_root(path: str, name: str = "path") -> BinaryIO:
    """Open the regular file `path`, relative to the data root or absolute, for reading.

    Symlinks are followed as long as they stay under the root. The path is resolved first, then opened from the root
    down without following any symlink: a directory that somebody swaps for a symlink meanwhile is an error.

    Raises:
        DataRootError: the path is outside the root, or no regular file; the text names the parameter `name`.
        OSError: the file is missing or cannot be read.
    """
    parts = parts_below(root(), path, name)
    folder = _descend(parts[:-1], path)
    try:
        with _naming(path):
            descriptor = os.open(parts[-1] if parts else ".", os.O_RDONLY | _PLAIN | _AT_ONCE, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataRootError(invalid_value(name, path, "a regular file"))
    return os.fdopen(descriptor, "rb")


class NewFile(BufferedWriter):
    """A binary file, open for writing, that appears in its directory when it is published, as a whole or not at all."""

    def __init__(self, folder: int, directory: str, draft: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
        super().__init__(FileIO(os.open(draft, flags, 0o644, dir_fd=folder), "wb"))
        self._folder, self._directory, self._draft = folder, directory, draft

    def publish(self, name: str) -> str:
        """Give the file its name, replacing any file of that name, and return its path; survives a power cut.

        Raises:
            OSError: the disk is full, or the name is not one of a file.
        """
        self.flush()
        os.fsync(self.fileno())
        os.replace(self._draft, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)
        return str(Path(self._directory, name))


@contextmanager
def new_file(directory: str, name: str = "path") -> Iterator[NewFile]:
    """A new file in `directory`, a path under the data root; missing directories are made.

    Unless it is published before the context ends, the file is removed.

    Raises:
        DataRootError: the directory is outside the data root; the text names the parameter `name`.
        OSError: the directory or the file cannot be made.
    """
    folder = _descend(parts_below(root(), directory, name), directory, make=True)
    draft = f".{uuid4().hex}.part"
    try:
        with _naming(directory):
            file = NewFile(folder, directory, draft)
        try:
            yield file
        finally:
            # A write that failed (a full disk) has raised already.
            with suppress(OSError):
                file.close()
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
    finally:
        os.close(folder)


def _lexical(top: Path, path: str, name: str) -> Path:
    """The path below `top`, without `..` in its text."""
    inner = Path(os.path.normpath(top / path))
    if not inner.is_relative_to(os.path.normpath(top)):
        raise DataRootError(invalid_value(name, path, f"a path under the data root, {str(top)!r}"))
    return inner


def _descend(parts: tuple[str, ...], path: str, *, make: bool = False) -> int:
    """The descriptor of a directory below the root, opened without following any symlink."""
    with _naming(path):
        return descend(str(root()), parts, make=make)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let an error of the operating system name the whole path and the data root, not the part that failed."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} (data root {str(root())!r})", path) from None
