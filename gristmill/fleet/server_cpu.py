"""How busy the server is: it runs its scripts on one core."""

import time
from math import inf
from typing import cast

from redis import Redis
from redis.exceptions import NoPermissionError

#: Seconds between two looks, at least: within fewer, the answer is that of the last one.
_LEAST_SECONDS = 0.45


class ServerCpu:
    """The share of one core that the server uses, from the CPU time that it reports."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        #: Percent of a core between the last two looks; 0 before, and where the server does not let this user ask.
        self.percent = 0.0

    def look(self, client: Redis) -> float:
        """Ask the server, as once a second; returns `percent`."""
        try:
            info = cast(dict[str, float], client.info("cpu"))
        except NoPermissionError:
            return self.percent
        now, used = time.monotonic(), info["used_cpu_user"] + info["used_cpu_sys"]
        then, before = self._last or (-inf, used)
        if now - then > _LEAST_SECONDS:
            self.percent = max(0.0, 100 * (used - before) / (now - then))
            self._last = now, used
        return self.percent
