"""A client for a thread that calls now and then: it sends a call and reads the answer, and does nothing around that.

redis-py looks for retries, counts, times and reports each call: code that no cache of the processor has any more when a
thread has slept.
"""

import os
from contextlib import suppress
from typing import Any, cast

from redis import ConnectionPool, Redis

from gristmill.server.internals import wire_of
from gristmill.server.readable import is_readable


class QuickPool(ConnectionPool):
    """Lends its idle connections as they are, unless something came over one meanwhile: its end, or a message."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Connections that redis-py's pool counts as lent; the one that was used last is the last.
        self._idle: list[Any] = []
        #: How many of them nobody has needed since `tidy`.
        self._spare = 0

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """A connection that stands.

        Raises:
            RedisError: the server cannot be reached.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            return super().get_connection()
        self._spare = min(self._spare, len(self._idle))
        if _stands(connection):
            return connection
        super().release(connection)
        return super().get_connection()

    def release(self, connection: Any) -> None:
        """Take a connection back."""
        if wire_of(connection) is None or connection.should_reconnect():
            super().release(connection)
        else:
            self._idle.append(connection)

    def tidy(self) -> None:
        """End the idle connections that nobody has needed since the last call of this; one stays."""
        with suppress(IndexError):
            for _ in range(min(self._spare, len(self._idle) - 1)):
                connection = self._idle.pop(0)
                connection.disconnect()
                super().release(connection)
        self._spare = len(self._idle)

    def disconnect(self, inuse_connections: bool = True) -> None:
        """End the idle connections, and those that are lent too unless told otherwise."""
        with suppress(IndexError):
            while True:
                super().release(self._idle.pop())
        super().disconnect(inuse_connections)


def _stands(connection: Any) -> bool:
    wire = wire_of(connection)
    return wire is not None and connection.pid == os.getpid() and not is_readable(wire)


class QuickClient(Redis):
    """Makes each call once, over a connection of its `QuickPool`."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """The server's answer to a command.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        pool: Any = self.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_command(*args)
            return cast(Any, super()).parse_response(connection, args[0], **options)
        finally:
            pool.release(connection)
