"""Whether a file can be made in a place: only a trial tells, above all root, to whom the permissions promise all."""

from pathlib import Path
from tempfile import TemporaryDirectory


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
