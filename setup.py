"""Builds the package out of the tree that is here now; pyproject.toml has all that describes it."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from setuptools import setup

for room in ("config", "producer", "tasks"):
    if not Path("gristmill", room).is_dir():
        sys.exit(
            f"gristmill/{room} is a text file instead of a link to ../{room} (expected a clone made with git, "
            "a tar archive or a zip archive unpacked by a program that restores links)"
        )
# A build/ of an earlier version would put that version's modules into the wheel too.
with TemporaryDirectory() as build:
    setup(options={"build": {"build_base": build}})
