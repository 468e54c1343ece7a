"""The Lua scripts of the transport, for which a server that cannot write is one that is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from gristmill.server.scripts import Scripts
from gristmill.server.waiting import unwritable


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


class TransportScripts(Scripts):
    """The transport's scripts, called through one client and with one key prefix."""

    def __init__(self, client: Redis, prefix: str) -> None:
        super().__init__(client, prefix, "broker")

    def call(self, name: str, **arguments: Any) -> Any:
        """Run the script.

        Raises:
            Unwritable: the server cannot write to its disk or its replicas.
            RedisError: the server cannot be reached, or refuses for another reason.
        """
        with as_if_away():
            return super().call(name, **arguments)


def as_text(value: bytes | str) -> str:
    """An answer of the server as text, whatever the client decodes."""
    return value.decode() if isinstance(value, bytes) else value
