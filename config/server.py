"""The private server's configuration, built from the settings."""

from pathlib import Path

from gristmill.config.host import memory
from gristmill.config.settings import Settings


def server_config(settings: Settings, directory: Path, port: int, password: str) -> str:
    """The text of the private Valkey's config file: it writes to `directory` and listens on loopback only.

    It logs to its standard output, so that what it says before it has read this file lands in the same log.
    """
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "protected-mode": "yes",
        "requirepass": password,
        "databases": "16",
        "daemonize": "no",
        "pidfile": "",
        "logfile": "",
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": settings.server_fsync,
        "save": "",
        # Half of the host's: rewriting the AOF forks, and what is written meanwhile is then there twice.
        "maxmemory": str(settings.server_memory or memory() // 2),
        "maxmemory-policy": "noeviction",
        # A batch's outcomes are hashes of 500 values: they stay compact up to a kilobyte each.
        "hash-max-listpack-entries": "512",
        "hash-max-listpack-value": "1024",
    }
    return "".join(f"{name} {_quoted(value)}\n" for name, value in options.items())


def _quoted(value: str) -> str:
    """The value as one word of a config file, whatever it contains."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, escaped)
    return f'"{value}"'
