"""A channel's link to its server: clients, scripts, the process's lease, the reader."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from typing import Any

from redis import Redis, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from gristmill.broker.address import sentinels_of
from gristmill.broker.kombu_internals import StockChannel, loop_of_this_thread
from gristmill.broker.leases import Lease, lease_for
from gristmill.broker.reader import QueueReader
from gristmill.broker.scripts import TransportScripts
from gristmill.server.heartbeat import RENEWALS, heartbeat_of
from gristmill.server.primary import PrimaryConnection, PrimaryTlsConnection, parameters

#: Parameters of a TCP connection that a Unix socket does not have.
_TCP_ONLY = ("port", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options")
#: Most seconds that a read waits on the server for a message: that of an event loop, and that of others.
READ_SECONDS, LONE_READ_SECONDS = 5.0, 1.0


class Link(StockChannel):
    """kombu's channel with one client for all threads, our scripts and our lease."""

    #: kombu's, but for one without which the channel would have kombu's QoS, which acknowledges nothing on streams.
    from_transport_options = tuple(name for name in StockChannel.from_transport_options if name != "ack_emulation")
    priority_steps = tuple(range(10))
    #: RESP2 or RESP3 (2 or 3); redis-py's default otherwise.
    protocol: int | None = None

    #: Those of kombu's parameters; each channel has its own.
    connection_class: type[Any]
    connection_class_ssl: type[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._shared: tuple[Any, Redis] | None = None
        self._scripts: TransportScripts | None = None
        self._lease: Lease | None = None
        self._lease_pid = 0
        self._reader: QueueReader | None = None
        super().__init__(*args, **kwargs)
        # Over one of these kombu has asked whether the server is there. A channel that only writes needs none.
        self.async_pool.disconnect(inuse_connections=False)

    @contextmanager
    def conn_or_acquire(self, client: Redis | None = None) -> Iterator[Any]:
        """A client for a call; threads share it. Making one for each call takes a fifth of stock kombu's time.

        A process with a heartbeat on the server lends the heartbeat's connections: a worker would else keep one for
        its events, and one for its answers to remote control.
        """
        heartbeat = heartbeat_of(self.scripts.client)
        pool = heartbeat.client.connection_pool if heartbeat.calls else self.pool
        if self._shared is None or self._shared[0] is not pool:
            if pool is not self.pool:
                # What the channel has used until now.
                self.pool.disconnect(inuse_connections=False)
            self._shared = pool, self.Client(connection_pool=pool)
        yield client or self._shared[1]

    def connection_parameters(self, asynchronous: bool = False) -> dict[str, Any]:
        """kombu's, for a Unix socket too, and with the option `protocol`.

        Raises:
            RedisConnectionError: the channel is closed.
        """
        if self.connection is None:
            # kombu keeps a channel that broke while it declared a queue; after this error it takes another.
            raise RedisConnectionError("the channel is closed")
        host, tls = self.connection.client.hostname or "", bool(self.connection.client.ssl)
        over_socket, sentinels = host.startswith("/"), sentinels_of(host)
        if over_socket:
            self.connection_class = UnixDomainSocketConnection
        if sentinels:
            self.connection_class, self.connection_class_ssl = PrimaryConnection, PrimaryTlsConnection
        kwargs: dict[str, Any] = super()._connparams(asynchronous)
        if over_socket:
            kwargs["path"] = kwargs.pop("host")
            for name in _TCP_ONLY:
                kwargs.pop(name, None)
        if sentinels:
            kwargs = parameters(sentinels, kwargs, tls=tls)
        return kwargs if self.protocol is None else {**kwargs, "protocol": int(self.protocol)}

    # kombu calls it by this name.
    _connparams = connection_parameters

    @property
    def scripts(self) -> TransportScripts:
        """The transport's scripts, through the channel's own pool."""
        pool = self.pool
        if self._scripts is None or self._scripts.client.connection_pool is not pool:
            self._scripts = TransportScripts(Redis(connection_pool=pool), self.global_keyprefix)
        return self._scripts

    @property
    def lease(self) -> Lease:
        """The lease of this process on the channel's server."""
        if self._lease is None or self._lease_pid != os.getpid():
            self._lease, self._lease_pid = lease_for(self.scripts.client, self.global_keyprefix), os.getpid()
        return self._lease

    @property
    def reader(self) -> QueueReader:
        """The requests on the channel's reading connection."""
        if self._reader is None or self._reader.lease is not self.lease:
            self._reader = QueueReader(self.lease, self.scripts, self.priority_steps)
        return self._reader

    @property
    def read_seconds(self) -> float:
        """Seconds that a read waits on the server for a message of a stream.

        Without an event loop, nobody may come for what a read has brought.
        """
        if loop_of_this_thread() is None:
            return min(float(self.connection.brpop_timeout), LONE_READ_SECONDS)
        return min(READ_SECONDS, self.lease.seconds / RENEWALS)

    def basic_qos(self, *args: Any, **kwargs: Any) -> None:
        """Change how many messages may be unacknowledged; without room, the channel waits for none."""
        super().basic_qos(*args, **kwargs)
        if not self.qos.can_consume():
            self.leave_request()

    def leave_request(self) -> None:
        """Wait no longer for messages: what has come meanwhile goes back, unseen.

        Only where no other channel of the process waits: nobody can tell for which of them the messages were.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        if self._reader is None or self.lease.reading.keys() != {id(self)}:
            return
        if not self._reader.is_waiting:
            # The answer to a take is on its way, and nobody may read it once the channel has no room.
            if not self.qos.can_consume():
                with suppress(Empty):
                    self._brpop_read()
            return
        self.abandon_answer()
        self._reader.give_up()
        self.lease.reading.clear()
        self.lease.hand_back_unread()

    def give_up_reading(self) -> None:
        """Have what went along with a request that gets no answer sent again; the channel may have read nothing."""
        if self._reader is not None:
            self._reader.give_up()
