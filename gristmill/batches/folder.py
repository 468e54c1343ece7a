"""Directories below another one, opened without following any symlink."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

# By name, as at the start of the process: a task may patch the module.
from os import O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, close, fsync, mkdir
from os import open as open_file
from os.path import realpath

_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC


def descend(top: str, parts: tuple[str, ...], *, make: bool = False, durable: bool = False) -> int:
    """The descriptor of the directory `parts` below `top`, whose own path may have symlinks.

    With `make`, missing directories are made; `durable`: they are there after a power cut too, whoever made them.

    Raises:
        OSError: a directory is missing, is none, is a symlink, or cannot be made.
    """
    folder = open_file(realpath(top), _FLAGS)
    for part in parts:
        above = folder
        try:
            if make:
                with suppress(FileExistsError):
                    mkdir(part, dir_fd=above)
                if durable:
                    fsync(above)
            folder = open_file(part, _FLAGS | O_NOFOLLOW, dir_fd=above)
        finally:
            close(above)
    return folder


@contextmanager
def opened(top: str, parts: tuple[str, ...], *, make: bool = False, durable: bool = False) -> Iterator[int]:
    """The descriptor that `descend` returns, which is closed when the context ends. Raises as `descend`."""
    folder = descend(top, parts, make=make, durable=durable)
    try:
        yield folder
    finally:
        close(folder)
