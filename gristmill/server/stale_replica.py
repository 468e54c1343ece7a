"""Whether the server is a replica that has lost its primary: what it answers is old, and nobody sees it."""

import threading
import time
from math import inf

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from gristmill.errors import ServerError
from gristmill.server.connection import locate, without_password

#: Seconds for which an answer of the server counts.
FRESH_SECONDS = 1.0


class StaleReplica:
    """Refuses what such a server has. A replica with a link to its primary is as good as that one. Threads share it.

    One thread asks, and the others get its answer: where the server is silent, nobody waits for a second silence.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0.0
        self._silence: RedisError | None = None

    def refuse(self, client: Redis) -> None:
        """Ask the server, unless somebody did a moment ago.

        Raises:
            ServerError: the server is a replica, and its link to the primary is broken.
            RedisError: the server cannot be reached.
        """
        with self._lock:
            if time.monotonic() < self._next:
                if self._silence is not None:
                    raise self._silence
                return
            try:
                self._ask(client)
            except RedisError as error:
                self._silence, self._next = error, time.monotonic() + FRESH_SECONDS
                raise

    def _ask(self, client: Redis) -> None:
        try:
            info = client.info("replication")
        except NoPermissionError:
            self._silence, self._next = None, inf
            return
        if info.get("role") == "slave" and info.get("master_link_status") != "up":
            raise ServerError(
                f"{without_password(locate())} is a replica that has lost its primary, and what it has is old: "
                "name the primary, or wait until the link is back"
            )
        self._silence, self._next = None, time.monotonic() + FRESH_SECONDS
