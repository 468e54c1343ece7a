"""The Lua scripts of the transport: one call makes one change of state."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gristmill.server.connection import unwritable

LUA = Path(__file__).parent / "lua"
#: A full server refuses these, so that producers wait; every other script frees memory, or is a step to that.
_REFUSED_WHEN_FULL = frozenset({"delay", "put"})
#: These only read: they run on a server that refuses writes too.
_READ_ONLY = frozenset({"size", "held"})


class Unwritable(RedisConnectionError):
    """The server cannot write. Workers and kombu treat it like one that is away, and try again."""


@contextmanager
def as_if_away() -> Iterator[None]:
    """Raise Unwritable instead of the error of a server that cannot write."""
    try:
        yield
    except ResponseError as error:
        if unwritable(error):
            raise Unwritable(str(error)) from error
        raise


@cache
def text(name: str) -> str:
    """The whole text of the script `name`: its shebang, the part that all scripts share, and its own file."""
    flags = " flags=no-writes" if name in _READ_ONLY else "" if name in _REFUSED_WHEN_FULL else " flags=allow-oom"
    return "\n".join([f"#!lua{flags}", *((LUA / f"{part}.lua").read_text() for part in ("queue", "holding", name))])


class Scripts:
    """The scripts, called through one client and with one key prefix."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self.client = client
        self.prefix = prefix
        self._scripts: dict[str, Script] = {}

    def sha(self, name: str) -> str:
        """The SHA-1 of the script, by which the server calls it once it is loaded."""
        return self._script(name).sha

    def load(self, name: str) -> None:
        """Load the script into the server."""
        self.client.script_load(text(name))

    def call(self, name: str, *arguments: Any) -> Any:
        """Run the script; if the server does not have it, load it first.

        Raises:
            Unwritable: the server cannot write to its disk or its replicas.
            RedisError: the server cannot be reached, or refuses for another reason.
        """
        with as_if_away():
            return self._script(name)(args=[self.prefix, *arguments])

    def _script(self, name: str) -> Script:
        if name not in self._scripts:
            self._scripts[name] = self.client.register_script(text(name))
        return self._scripts[name]


def as_text(value: bytes | str) -> str:
    """An answer of the server as text, whatever the client decodes."""
    return value.decode() if isinstance(value, bytes) else value
