"""A temporary home, with its own server and its own data."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.config.settings import use, variable


@contextmanager
def temporary_home(**changes: str) -> Iterator[Path]:
    """A home in a temporary directory, and the settings `changes`, for this process and those it starts.

    The data root is its folder `data`. A server that the settings name is not used.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith(variable("")) or name == "TMPDIR"}
    with tempfile.TemporaryDirectory(prefix="gristmill-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        for folder in ("data", "logs", "tmp"):
            (home / folder).mkdir()
        # Files that a process leaves there when it is killed go with the home.
        os.environ["TMPDIR"] = str(home / "tmp")
        names = {"home": directory, "data_root": str(home / "data"), "redis_url": None, "prefix": None}
        use({**names, "redis_url_file": None, **changes})
        try:
            yield home
        finally:
            for name in [name for name in os.environ if name.startswith(variable("")) or name == "TMPDIR"]:
                del os.environ[name]
            os.environ.update(before)
            use({})
