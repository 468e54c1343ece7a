"""Refuses to build from a copy in which the links of `gristmill/` became text files; pyproject.toml says the rest."""

import sys
from pathlib import Path

from setuptools import setup

for room in ("config", "producer", "tasks"):
    if not Path("gristmill", room).is_dir():
        sys.exit(
            f"gristmill/{room} is a text file instead of a link to ../{room} (expected a clone made with git, "
            "a tar archive or a zip archive unpacked by a program that restores links)"
        )
setup()
