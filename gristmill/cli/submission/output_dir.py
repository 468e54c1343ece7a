"""The `--output-dir` of a task: a path below the data root, which on a private server is on this host."""

import os
from pathlib import Path

from gristmill.cli.writable import bad_output_dir, check_output_dir, fault
from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.server.home import Home
from gristmill.tasks.data_root import DataRootError, parts_below, root


def check_below_data_root(path: str) -> None:
    """Check that the workers of a private server can make files there.

    Raises:
        InputError: the path is outside the data root.
        click.BadParameter: no file can be made in it.
    """
    home = Home(settings().home)
    running = home.running()
    if running.data_root is None if running else home.holder():
        # A server without a fleet, whose workers have data roots of their own; or one that is starting.
        return
    top = Path(running.data_root) if running and running.data_root else root()
    if reason := fault(str(top), os.X_OK):
        raise bad_output_dir(path, f"data root {top}: {reason}")
    try:
        parts = parts_below(top, path, "--output-dir")
    except DataRootError as error:
        raise InputError(str(error)) from None
    check_output_dir(path, str(Path(os.path.realpath(top), *parts)))
