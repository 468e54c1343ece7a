"""Whether a file can be made in a place: only a trial tells, above all root, to whom the permissions promise all."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import click


def why_no_file(directory: str | Path, below: str | Path = ".") -> str:
    """Why no file can be made in `below`, a path in the directory whose folders are made too; empty: one can.

    Nothing is left of the trial. Of a path with `..`, which would lead out of it, only the directory is tried.
    """
    if ".." in Path(below).parts:
        below = "."
    try:
        with TemporaryDirectory(prefix=".gristmill-", dir=directory, ignore_cleanup_errors=True) as trial:
            folder = Path(trial, below)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "file").touch()
    except PermissionError:
        return "permission denied"
    except OSError as error:
        return f"no file can be made there: {error.strerror}"
    return ""


def check_output_dir(option: str, path: str) -> None:
    """Check what is there of the directory `path`, and that workers can make the rest; `option` is how it was given.

    Raises:
        click.BadParameter: no file can be made in it.
    """
    there = next(str(each) for each in (Path(path), *Path(path).parents) if os.path.lexists(each))
    if reason := fault(there, os.W_OK | os.X_OK) or why_no_file(there, Path(path).relative_to(there)):
        where = "" if there == option else f"{there}: "
        raise bad_output_dir(option, f"{where}{reason}")


def bad_output_dir(option: str, reason: str) -> click.BadParameter:
    """The error about an `--output-dir` that cannot be written."""
    return click.BadParameter(
        f"{option!r} (expected a directory that can be written; {reason})", param_hint="--output-dir"
    )


def fault(path: str, access: int) -> str:
    """Why a directory cannot be used; empty if it can."""
    if not os.path.exists(path):  # noqa: PTH110 (`Path.exists` raises where a directory above may not be read)
        return "it does not exist"
    if not os.path.isdir(path):  # noqa: PTH112
        return "it is not a directory"
    return "" if os.access(path, access) else "permission denied"
