"""Whether the server is a replica that has lost its primary: what it answers is old, and nobody sees it."""

import time
from math import inf

from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.errors import ServerError
from gristmill.server.connection import locate, without_password

#: Seconds for which an answer of the server counts.
FRESH_SECONDS = 1.0


class StaleReplica:
    """Refuses what such a server has. A replica with a link to its primary is as good as that one."""

    def __init__(self) -> None:
        self._next = 0.0

    def refuse(self, client: Redis) -> None:
        """Ask the server, unless it was well a moment ago.

        Raises:
            ServerError: the server is a replica, and its link to the primary is broken.
            RedisError: the server cannot be reached.
        """
        now = time.monotonic()
        if now < self._next:
            return
        try:
            info = client.info("replication")
        except NoPermissionError:
            self._next = inf
            return
        if info.get("role") == "slave" and info.get("master_link_status") != "up":
            raise ServerError(
                f"{without_password(locate())} is a replica that has lost its primary, and what it has is old: "
                "name the primary, or wait until the link is back"
            )
        self._next = now + FRESH_SECONDS
