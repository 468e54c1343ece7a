"""Reads that the server remembers: it tells when a key has changed that was read here, so nobody reads it in vain."""

import logging
from typing import Any

from redis import ConnectionPool, Redis
from redis.exceptions import ResponseError

from gristmill.server.internals import on_invalidation
from gristmill.server.one_connection import OneConnection

log = logging.getLogger(__name__)


class KeyTracking:
    """A client of one connection, which the server tells once of each key that changes after it was read there.

    It tells on that connection, before its answer to the next call: whoever has an answer has been told all that
    changed before it. One thread at a time uses this.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._single: OneConnection | None = None
        self._session: object = None
        self._is_tracked = False
        self._changed: set[str] = set()
        #: Whether every key may have changed: the server has dropped them all.
        self._all_changed = False

    @property
    def client(self) -> Redis:
        """The client; it connects at its first call."""
        if self._single is None:
            self._single = OneConnection(self._pool)
        return Redis(connection_pool=self._single)

    def session(self) -> object | None:
        """The connection's session on the server, which remembers what is read from now on; None: it does not.

        What another session has read may have changed without a word.

        Raises:
            RedisError: the server cannot be reached.
        """
        connection: Any = self.client.connection_pool.get_connection()
        if self._session is not connection.handshake_metadata:
            self._begin(connection)
        return self._session if self._is_tracked else None

    def _begin(self, connection: Any) -> None:
        self._session = connection.handshake_metadata
        self._changed, self._all_changed, self._is_tracked = set(), False, False
        if connection.protocol != 3:
            return
        on_invalidation(connection, self._note)
        connection.send_command("CLIENT", "TRACKING", "ON")
        try:
            connection.read_response()
        except ResponseError as error:
            log.info("the server does not tell what changes, so all of it is read each time: %s", error)
        else:
            self._is_tracked = True

    def is_in(self, session: object) -> bool:
        """Whether all answers since `session()` has given this session were given in it."""
        connection: Any = self.client.connection_pool.connection  # type: ignore[attr-defined]
        return bool(connection.is_connected and connection.handshake_metadata is session)

    def _note(self, message: list[Any]) -> None:
        keys = message[1]
        if keys is None:
            self._all_changed = True
        else:
            self._changed.update(key.decode() if isinstance(key, bytes) else key for key in keys)

    def changed(self) -> set[str] | None:
        """The keys that have changed since they were read, of which the last answers have told; None: all of them."""
        changed, every = self._changed, self._all_changed
        self._changed, self._all_changed = set(), False
        return None if every else changed
