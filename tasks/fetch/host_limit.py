"""How many requests the whole fleet sends to one remote host: slots and a rate, shared over the server."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from gristmill.config.settings import Settings
from gristmill.server.connection import reaching
from gristmill.server.heartbeat import RENEWALS, PeriodicCall, heartbeat_of
from gristmill.server.scripts import Scripts
from gristmill.server.waiting import OUTCOMES, patiently

#: Seconds of the rate that may be caught up: a host without requests for a moment gets those that it missed.
_CATCH_UP = 0.1
#: Seconds between two requests for a slot while all are in use.
_POLL = 0.1
#: The answer of take_slot.lua when all slots are in use.
_FULL = -1


class _Line:
    """The threads of this process that have or want a slot of one host: only the first one asks the server."""

    def __init__(self) -> None:
        self.threads = 0
        self.turn = threading.Lock()
        #: Set when a thread of this process gives its slot back.
        self.freed = threading.Event()


class HostLimit:
    """Keeps the fleet at `fetch_host_slots` requests at once and `fetch_host_rate` per second to each host.

    In t seconds a host gets at most rate × (t + 0.1) + 1 requests. Slots are leases in the server: a process renews its
    own, and those of a dead process end after `lease_seconds`. A process that cannot reach the server for that long may
    lose its slots to others before its requests have ended. Threads may share it.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._scripts = Scripts(client, settings.prefix, "tasks/fetch")
        self._renewal = PeriodicCall("host-slots", settings.lease_seconds / RENEWALS, self._renew)
        #: Guards the attributes below.
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        self._slots: dict[str, str] = {}

    @contextmanager
    def slot(self, host: str) -> Iterator[None]:
        """Hold a slot of `host` for one request, after a wait for a free one.

        Raises:
            ServerError: the server did not answer for a minute.
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
        """The sorted set of the slots of `host`; with `:due` appended, a string. Both expire by themselves."""
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
        """Ask for a slot until there is a free one, and renew it from then on."""
        while True:
            line.freed.clear()
            with reaching():
                microseconds = patiently(lambda: self._ask(host, name), OUTCOMES)
            if microseconds == 0:
                return self._renew_from_now(host, name)
            if microseconds == _FULL:
                line.freed.wait(_POLL * random.uniform(0.5, 1.5))  # noqa: S311 (jitter)
            else:
                # At another moment than the other processes.
                time.sleep(microseconds / 1e6 + random.uniform(0, _CATCH_UP / 10))  # noqa: S311 (jitter)

    def _ask(self, host: str, name: str) -> int:
        """Ask the server: 0: the slot is ours; more: microseconds until the rate allows it; `_FULL`: none is free."""
        interval = 1e6 / self._settings.fetch_host_rate
        lease = int(self._settings.lease_seconds * 1e6)
        most = self._settings.fetch_host_slots
        rate = {"most": most, "interval": interval, "catch_up": int(_CATCH_UP * 1e6)}
        return int(self._scripts.call("take_slot", host=host, slot=name, lease=lease, **rate))

    def _give_back(self, host: str, name: str) -> None:
        with self._lock:
            self._slots.pop(name, None)
        # Without the server the lease ends by itself; the request has been sent.
        with suppress(RedisError):
            self._client.zrem(self._key(host), name)

    def _renew_from_now(self, host: str, name: str) -> None:
        with self._lock:
            self._slots[name] = host
            heartbeat_of(self._client).add(self._renewal)

    def _renew(self) -> None:
        """Renew the slots of this process; once it has none, stop until it has one again."""
        heartbeat = heartbeat_of(self._client)
        names: dict[str, list[str]] = {}
        with self._lock:
            for name, host in self._slots.items():
                names.setdefault(host, []).append(name)
            if not names:
                heartbeat.remove(self._renewal)
        scripts = Scripts(heartbeat.client, self._settings.prefix, "tasks/fetch")
        for host, slots in names.items():
            scripts.call("renew_slots", host=host, lease=int(self._settings.lease_seconds * 1e6), slots=slots)
