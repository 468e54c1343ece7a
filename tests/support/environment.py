"""Virtual environments for what is installed from an archive, each with no more in it than was asked for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.examples import PROJECT

ROOMS = ("gristmill", "config", "producer", "tasks")
UV = str(Path(sys.executable).with_name("uv"))
#: Seconds that one command may take: a registry may be slow.
PATIENCE = 300.0


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end, which has to be 0, without this process's Python path; answers its stdout."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRISTMILL_"))}
    result = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


def source(path: Path) -> Path:
    """A copy of what the package is built from, in `path`: links stay links, and nothing was built there before."""
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, path / name)
    for room in ROOMS:
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(PROJECT / room, path / room, symlinks=True, ignore=ignored)
    return path


class Environment:
    """A virtual environment of this Python; with `pip`, pip is in it."""

    def __init__(self, path: Path, *, pip: bool = False) -> None:
        self.path = path
        run(UV, "venv", "--quiet", "--no-project", "--python", sys.executable, *(["--seed"] if pip else []), path)

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.path / "bin" / name)

    def uv(self, command: str, *arguments: str | Path) -> str:
        """Run `uv pip COMMAND` for it; answers its stdout."""
        return run(UV, "pip", command, "--quiet", "--python", self.program("python"), *arguments)

    def python(self, code: str) -> str:
        """What a program prints, run in the environment's directory with nothing of that on its path."""
        return run(self.program("python"), "-I", "-c", code, cwd=self.path).strip()

    @property
    def packages(self) -> set[str]:
        """The names in its site-packages."""
        (directory,) = self.path.glob("lib/python*/site-packages")
        return {path.name for path in directory.iterdir()} - {"__pycache__"}
