"""What a server did while a benchmark looked: its CPU, and the script that held it longest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, TypeVar, cast

from redis import Redis
from redis.exceptions import ResponseError

import gristmill
from gristmill.server.scripts import source

Answer = TypeVar("Answer")
ROOMS = Path(gristmill.__file__).parent
#: Entries of the slow log, which notes every call: that costs the server a microsecond or two each.
ENTRIES = 200_000


@dataclass(slots=True)
class ServerLoad:
    """The server's load over `seconds`: `cpu` in seconds, `commands`, and the longest script in milliseconds.

    `scripts` maps each script to its calls and their milliseconds.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    commands: int = 0
    longest: float = 0.0
    longest_name: str = "none"
    scripts: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def slowest(self) -> str:
        """The longest script, in milliseconds, and its name."""
        return f"{self.longest:.1f} ({self.longest_name})"

    def summary(self, items: int) -> str:
        """The five scripts that took most, each with its time and its calls an item."""
        most = sorted(self.scripts.items(), key=lambda script: -script[1][1])[:5]
        return ", ".join(f"{name} {1e3 * ms / items:,.1f} µs ({calls / items:.2f} calls)" for name, (calls, ms) in most)


def cpu_seconds(client: Redis) -> float:
    """The CPU time that the server has used, without that of its children."""
    info = client.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


def usage(client: Redis) -> dict[str, float]:
    """The bytes of memory and of the AOF, and the seconds of CPU, that the server has used."""
    info = client.info()
    return {
        "memory": info["used_memory"],
        "aof": info["aof_current_size"],
        "cpu": cpu_seconds(client),
    }


@contextmanager
def server_load(client: Redis) -> Iterator[ServerLoad]:
    """The load while the block runs; its figures are there when the block has ended."""
    load = ServerLoad()
    _patiently(lambda: client.config_set("slowlog-max-len", ENTRIES))
    _patiently(lambda: client.config_set("slowlog-log-slower-than", 0))
    _patiently(client.slowlog_reset)
    cpu, before, started_at = (
        _patiently(lambda: cpu_seconds(client)),
        _patiently(lambda: commands(client)),
        perf_counter(),
    )
    yield load
    load.cpu = _patiently(lambda: cpu_seconds(client)) - cpu
    load.seconds, load.commands = perf_counter() - started_at, _patiently(lambda: commands(client)) - before
    _patiently(lambda: client.config_set("slowlog-log-slower-than", -1))
    for entry in cast(list[dict[str, Any]], _patiently(lambda: client.slowlog_get(ENTRIES))):
        if name := script_name(entry["command"]):
            ms = entry["duration"] / 1000
            calls, total = load.scripts.get(name, (0, 0.0))
            load.scripts[name] = calls + 1, total + ms
            load.longest, load.longest_name = max((load.longest, load.longest_name), (ms, name))


def _patiently(call: Callable[[], Answer]) -> Answer:
    """The server's answer, when it has ended the script that made it refuse for so long."""
    while True:
        try:
            return call()
        except ResponseError as error:
            if "BUSY" not in str(error):
                raise
            sleep(0.1)


def commands(client: Redis) -> int:
    """How many commands the server has run, those of scripts included."""
    return int(client.info("stats")["total_commands_processed"])


def script_name(command: bytes | str) -> str:
    """The name of the script that a command of the slow log runs; empty if it runs none."""
    words = (command.decode(errors="replace") if isinstance(command, bytes) else command).split(" ", 2)
    if words[0].upper() not in ("EVALSHA", "EVALSHA_RO", "EVAL"):
        return ""
    return _names().get(words[1], "a script")


@cache
def _names() -> dict[str, str]:
    """The scripts of every room by their SHA-1."""
    names = {}
    for path in (*ROOMS.glob("*/lua/*.lua"), *ROOMS.glob("tasks/*/lua/*.lua")):
        name = f"{path.parents[1].relative_to(ROOMS)}/{path.stem}"
        # A part of scripts has no head.
        with suppress(ValueError):
            names[source(name).sha] = name
    return names
