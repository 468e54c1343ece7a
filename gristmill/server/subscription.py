"""A subscription that lasts as long as its process: when the process dies, its host closes the connection at once."""

import logging
import os
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from redis import ConnectionPool
from redis.exceptions import ResponseError

from gristmill.server.internals import wire_of
from gristmill.server.readable import is_readable

#: Times that a connection is made anew because the process forked meanwhile.
ATTEMPTS = 3

log = logging.getLogger(__name__)


class _Forks:
    """Counts the forks of this process, and closes in each child what the child must not hold open.

    A child that had a copy of the socket would keep the subscription when its parent dies.
    """

    def __init__(self) -> None:
        self.count = 0
        self.connections: WeakSet[Any] = WeakSet()
        os.register_at_fork(after_in_parent=self._note, after_in_child=self._close)

    def _note(self) -> None:
        self.count += 1

    def _close(self) -> None:
        for connection in list(self.connections):
            # In another process than its own it closes the descriptor and leaves the connection alone.
            connection.disconnect()
        self.connections = WeakSet()


_forks = _Forks()


class Subscription:
    """Subscribes the connections of a pool to `channel`, on which nobody publishes; the pool's calls go on as before.

    Only RESP3 lets one connection subscribe and call. One thread calls `hold` again and again, and whenever something
    can be read from `wire`.
    """

    def __init__(self, pool: ConnectionPool, channel: str) -> None:
        self._pool = pool
        self.channel = channel
        #: Why there is no subscription: the server's error; empty when all is well.
        self.problem = ""
        #: How many connections have subscribed so far: when it grows, the server may be another one.
        self.count = 0
        #: The connection that has subscribed last, and its socket then.
        self._connection: Any = None
        self._wire: Any = None
        #: Connection -> its session on the server when it subscribed. The object outlives the session.
        self._sessions: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def hold(self) -> None:
        """Subscribe unless the connection has; the pool replaces one that has broken.

        Raises:
            RedisError: the server cannot be reached.
        """
        if self._is_held():
            return
        connection: Any = self._pool.get_connection()
        try:
            if connection.protocol != 3:
                self._note("protocol 2 lets no connection subscribe and call")
            elif self._sessions.get(connection) is not connection.handshake_metadata:
                self._subscribe(connection)
        finally:
            self._pool.release(connection)

    @property
    def wire(self) -> int:
        """The descriptor of the connection that has subscribed, from which its end can be read; -1 without one."""
        wire: Any = wire_of(self._connection) if self._connection else None
        return -1 if wire is None else int(wire.fileno())

    def _is_held(self) -> bool:
        """Whether the connection that has subscribed is the same, and nothing came over it: its end neither."""
        wire = wire_of(self._connection) if self._connection else None
        return wire is not None and wire is self._wire and not is_readable(wire)

    def _subscribe(self, connection: Any) -> None:
        for _ in range(ATTEMPTS):
            forks = _forks.count
            # Anew, so that every child forked since then is counted.
            connection.disconnect()
            connection.connect()
            _forks.connections.add(connection)
            if forks == _forks.count:
                break
        else:
            # A child may have a copy of the socket, which it does not know. The next call makes another.
            connection.disconnect()
            return
        connection.send_command("SUBSCRIBE", self.channel)
        try:
            connection.read_response(push_request=True)
        except ResponseError as error:
            self._note(str(error))
        else:
            self.problem = ""
            self.count += 1
            self._connection, self._wire = connection, wire_of(connection)
        self._sessions[connection] = connection.handshake_metadata

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("no subscription, so a lease has to end before others take over: %s", problem)
        self.problem = problem
