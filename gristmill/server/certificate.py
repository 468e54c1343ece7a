"""Until when the server's certificate holds."""

import ssl
import time
from typing import Any, cast

from redis import Redis

from gristmill.server.internals import wire_of


def certificate_days(client: Redis) -> float | None:
    """The days for which the server's certificate still holds, by this host's clock; None without a checked one.

    Raises:
        RedisError: the server cannot be reached; that is so too where its certificate has ended.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        wire = wire_of(connection)
        about = wire.getpeercert() if isinstance(wire, ssl.SSLSocket) else None
    finally:
        pool.release(connection)
    if not about:
        return None
    return (ssl.cert_time_to_seconds(cast(dict[str, Any], about)["notAfter"]) - time.time()) / 86_400
