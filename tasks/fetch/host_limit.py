"""How hard the whole fleet may press one remote host: slots and a rate, shared over the server."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from gristmill.batches.scripts import script
from gristmill.config.settings import Settings
from gristmill.errors import ServerError
from gristmill.server.connection import passing

#: Seconds of the rate that may be caught up: a host that was left alone for a moment gets what it missed.
_CATCH_UP = 0.1
#: Seconds between two questions while every slot is taken.
_POLL = 0.1
#: Seconds without the server after which a request is given up.
_WITHOUT_SERVER = 60.0
#: What `host_take` answers when every slot is taken.
_FULL = -1


class _Line:
    """The threads of this process that have or want a slot of one host: only the first asks the server."""

    def __init__(self) -> None:
        self.threads = 0
        self.turn = threading.Lock()
        #: Set when a thread of this process gives its slot back.
        self.freed = threading.Event()


class HostLimit:
    """Keeps the fleet at `fetch_host_slots` requests at once and `fetch_host_rate` per second to each host.

    In t seconds a host gets at most rate × (t + 0.1) + 1 requests. Slots are leases in the server: a process
    renews those it holds, a dead one's end after `lease_seconds`. A process that cannot reach the server for
    that long may lose its slots to others before it has finished. Safe to share between threads.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._take = script(client, "host_take")
        self._extend = script(client, "host_renew")
        #: Guards what follows.
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._held: dict[str, str] = {}
        self._renewer: threading.Thread | None = None

    @contextmanager
    def slot(self, host: str) -> Iterator[None]:
        """Hold a slot of `host` for one request; waits, as long as it takes, until there is one.

        Raises:
            ServerError: the server has been away for a minute.
        """
        host = host.lower()
        name = uuid4().hex
        line = self._join(host)
        try:
            with line.turn:
                self._wait(host, name, line)
            yield
        finally:
            self._give_back(host, name)
            line.freed.set()
            self._leave(host, line)

    def _key(self, host: str) -> str:
        """Sorted set of the slots of `host`; with `:due` behind it, a string. Both expire by themselves."""
        return self._settings.key(f"host:{host}")

    def _join(self, host: str) -> _Line:
        with self._lock:
            line = self._lines.setdefault(host, _Line())
            line.threads += 1
            return line

    def _leave(self, host: str, line: _Line) -> None:
        with self._lock:
            line.threads -= 1
            if line.threads == 0:
                del self._lines[host]

    def _wait(self, host: str, name: str, line: _Line) -> None:
        """Ask for a slot until there is one, and renew it from then on."""
        given_up = time.monotonic() + _WITHOUT_SERVER
        while True:
            line.freed.clear()
            try:
                microseconds = self._ask(host, name)
                given_up = time.monotonic() + _WITHOUT_SERVER
            except RedisError as error:
                if not passing(error):
                    raise
                if time.monotonic() > given_up:
                    raise ServerError(f"the server has been away for {_WITHOUT_SERVER:g} s: {error}") from error
                microseconds = _FULL
            if microseconds == 0:
                return self._renew_from_now(host, name)
            if microseconds == _FULL:
                line.freed.wait(_POLL * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
            else:
                # Not at the very moment at which everyone else comes back.
                time.sleep(microseconds / 1e6 + random.uniform(0, _CATCH_UP / 10))  # noqa: S311 (jitter)

    def _ask(self, host: str, name: str) -> int:
        """0: the slot is taken; above: microseconds until the rate allows it; `_FULL`: none is free."""
        interval = 1e6 / self._settings.fetch_host_rate
        lease = int(self._settings.lease_seconds * 1e6)
        most = self._settings.fetch_host_slots
        key = self._key(host)
        return int(self._take([key, f"{key}:due"], [name, most, interval, int(_CATCH_UP * 1e6), lease]))

    def _give_back(self, host: str, name: str) -> None:
        with self._lock:
            self._held.pop(name, None)
        # Without the server the lease ends by itself; the request was made all the same.
        with suppress(RedisError):
            self._client.zrem(self._key(host), name)

    def _renew_from_now(self, host: str, name: str) -> None:
        with self._lock:
            self._held[name] = host
            # None is alive after a fork either.
            if self._renewer is None or not self._renewer.is_alive():
                self._renewer = threading.Thread(target=self._renew, name="host-slots", daemon=True)
                self._renewer.start()

    def _renew(self) -> None:
        """Renew what this process holds, four times per lease, until it holds nothing."""
        while True:
            time.sleep(self._settings.lease_seconds / 4)
            with self._lock:
                if not self._held:
                    self._renewer = None
                    return
                names: dict[str, list[str]] = {}
                for name, host in self._held.items():
                    names.setdefault(host, []).append(name)
            lease = int(self._settings.lease_seconds * 1e6)
            with suppress(RedisError):
                for host, held in names.items():
                    self._extend([self._key(host)], [lease, *held])
