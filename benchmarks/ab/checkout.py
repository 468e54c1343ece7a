"""The two sides of a comparison: checkouts, each with an environment installed from its own lock file."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: One directory a commit. `make clean` removes them.
CHECKOUTS = ROOT / ".venv" / "ab"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout in `path`, which `name` names: a commit, or a path; its programs get the variables of `environ`."""

    name: str
    path: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.environ.items())])

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.path / ".venv" / "bin" / "python"


class NoCheckout(ValueError):
    """Raised when an argument names neither a commit nor a checkout."""


def checkout(name: str) -> Checkout:
    """The checkout that `name` (a path, or a commit of this repository) names, installed.

    A commit is exported and installed once.

    Raises:
        NoCheckout: there is neither such a path nor such a commit.
        CalledProcessError: the export or the installation failed; its command has said why.
    """
    path = Path(name).expanduser()
    if (path / "pyproject.toml").is_file():
        return _installed(Checkout(name, path.resolve()))
    answer = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
    commit = answer.stdout.decode().strip()
    if not commit:
        raise NoCheckout(f"{name!r} is neither a checkout nor a commit")
    return _installed(Checkout(f"{name} ({commit[:9]})", _exported(commit)))


def _exported(commit: str) -> Path:
    """The directory with the files of the commit."""
    path = CHECKOUTS / commit
    if not path.exists():
        partial = path.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        archive = _git("archive", commit).stdout
        subprocess.run(["tar", "-x", "-C", str(partial)], input=archive, check=True)
        partial.rename(path)
    return path


def _installed(side: Checkout) -> Checkout:
    """The checkout, when its own Makefile has installed what its lock file names."""
    subprocess.run(["make", "-s", "-C", str(side.path), ".venv/run"], check=True)
    return side


def _git(*arguments: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=check, stdout=subprocess.PIPE)
