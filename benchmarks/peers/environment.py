"""Environments for peers: a virtual environment each, made when it is first asked for."""

import subprocess
import sys
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / ".venv" / "peers"
#: What each peer needs.
NEEDS = {"huey": ["huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0"]}


def python(peer: str) -> Path:
    """The interpreter of a peer's environment.

    Raises:
        CalledProcessError: it could not be made; pip has said why.
    """
    home = ENVIRONMENTS / peer
    found = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(found), "-m", "pip", "install", "-q", *NEEDS[peer]], check=True)
        (home / "ready").touch()
    return found
