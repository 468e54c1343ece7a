"""The transport: what `gristmill://`, `gristmills://`, `gristmill-socket://`, `gristmill-sentinel://` mean to kombu."""

import ssl
from typing import Any
from urllib.parse import quote

from kombu.asynchronous import set_event_loop
from kombu.transport import redis as stock

from gristmill.broker import address
from gristmill.broker.address import Address
from gristmill.broker.channel import Channel
from gristmill.broker.equipment import watch_workers
from gristmill.broker.kombu_internals import look_after, replace_timers
from gristmill.server.connection import CONNECT_SECONDS, KEEPALIVE
from gristmill.server.heartbeat import ANSWER_SECONDS, heartbeat_of

#: Options that a connection's own stand before. kombu waits for ever for the answer of a call, and for 51 s until it
#: misses that of a read: the other end may be gone without a word, as behind a router that has forgotten it.
DEFAULTS = {
    "socket_timeout": ANSWER_SECONDS,
    "socket_connect_timeout": CONNECT_SECONDS,
    "socket_keepalive": True,
    "socket_keepalive_options": KEEPALIVE,
    "health_check_interval": 5,
}
#: Seconds between two looks of an event loop at its connections, and at bindings, which expire after an hour at least.
#: With a shorter `health_check_interval`, these.
TIDY_SECONDS = 5.0


class Transport(stock.Transport):
    """kombu's Redis transport with a channel that loses no message.

    It reads its URL itself, and leaves the parts in kombu's connection: what kombu shows of a connection or copies
    has the password in the place where kombu hides it.
    """

    Channel = Channel
    can_parse_url = True

    def __init__(self, client: Any, **kwargs: Any) -> None:
        if "://" in (client.hostname or ""):
            _fill(client, address.parse(client.hostname))
        if client.ssl is True or (client.transport_cls == address.TLS and not client.ssl):
            # Else `broker_use_ssl=True` means "check nothing" to kombu, or "no TLS".
            client.ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
        client.transport_options = {**DEFAULTS, **client.transport_options}
        super().__init__(client, **kwargs)
        watch_workers()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have an event loop read the channels."""
        # A worker that connects again has reset its loop, and kombu has forgotten it.
        set_event_loop(loop)
        super().register_with_event_loop(connection, loop)
        seconds = min(TIDY_SECONDS, connection.client.transport_options["health_check_interval"])
        replace_timers(self.cycle, loop.call_repeatedly(seconds, self._tidy))

    def _tidy(self) -> None:
        """Do what kombu's timers do, and close connections that only the start, the timers or a busy moment needed."""
        look_after(self.cycle)
        for channel in self.channels:
            for pool in (channel.pool, channel.async_pool):
                pool.disconnect(inuse_connections=False)
        for heartbeat in {heartbeat_of(channel.scripts.client) for channel in self.channels}:
            heartbeat.tidy()

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: ARG002
        """The URL of the connection; without its password it has no options either."""
        client = self.client
        scheme = client.transport_cls if client.transport_cls in address.SCHEMES else address.TCP
        full = Address(
            client.hostname or "localhost",
            client.port,
            client.userid,
            client.password,
            int(client.virtual_host.strip("/") or 0),
            client.ssl if include_password and client.ssl else None,
        )
        password = quote(full.password, safe="") if full.password and include_password else full.password and mask
        return address.render(scheme, full, password, secrets=include_password)


def _fill(client: Any, parts: Address) -> None:
    """Replace the URL in kombu's connection by its parts; arguments of the connection stand in for missing ones."""
    client.hostname, client.port = parts.host, parts.port or client.port or stock.DEFAULT_PORT
    client.userid, client.password = parts.user or client.userid, parts.password or client.password
    client.virtual_host = str(parts.database)
    client.ssl = parts.ssl or client.ssl
