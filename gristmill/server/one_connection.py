"""A client whose calls all go over one connection: what was written, or is tracked, belongs to a connection."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from redis import ConnectionPool, Redis

from gristmill.server.internals import wire_of


class OneConnection(ConnectionPool):
    """A pool that has one connection of another pool, so that pipelines go over it too."""

    def __init__(self, pool: ConnectionPool) -> None:
        super().__init__(pool.connection_class, **pool.connection_kwargs)
        self._lender = pool
        self.connection = pool.get_connection()

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """The connection; connects it if it broke."""
        cast(Any, self.connection).connect()
        return self.connection

    def release(self, connection: Any) -> None:
        """Keep the connection for the next call."""

    def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: ARG002
        """End the connection; the next call connects it."""
        cast(Any, self.connection).disconnect()

    def end(self) -> None:
        """Return the connection to its pool."""
        self._lender.release(self.connection)

    @property
    def wire(self) -> object:
        """What is another object once the connection was made anew; None while it is not connected."""
        return wire_of(self.connection)


@contextmanager
def one_connection(pool: ConnectionPool) -> Iterator[Redis]:
    """A client whose calls all go over one connection of the pool."""
    single = OneConnection(pool)
    try:
        yield Redis(connection_pool=single)
    finally:
        single.end()
