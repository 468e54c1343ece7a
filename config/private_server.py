"""The private server's configuration, built from the settings."""

from pathlib import Path

from gristmill.config.host import memory
from gristmill.config.settings import Settings


def server_config(settings: Settings, directory: Path, port: int, password: str) -> str:
    """The text of the private server's config file.

    The server keeps its data in `directory` and listens on loopback only. It logs to its standard output: lines that
    it writes before it has read this file go to the same log.
    """
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "protected-mode": "yes",
        "requirepass": password,
        "logfile": "",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": settings.server_fsync,
        # A torn file is mended before the server reads it, see server/aof.py.
        "aof-load-truncated": "no",
        "save": "",
        # Half of the host's memory: to rewrite the AOF, the server forks, and pages written meanwhile exist twice.
        "maxmemory": str(settings.server_memory or memory() // 2),
        "maxmemory-policy": "noeviction",
        # A batch's outcomes are hashes of 500 values, which stay compact while no value exceeds a kilobyte.
        "hash-max-listpack-entries": "512",
        "hash-max-listpack-value": "1024",
    }
    return "".join(f"{name} {_quoted(value)}\n" for name, value in options.items())


def _quoted(value: str) -> str:
    """Quote a value so that it is one word of a config file, whatever characters it has."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, escaped)
    return f'"{value}"'
