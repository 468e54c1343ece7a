"""Leases: a live process's claim on what it has taken, and the taking back of what dead ones held."""

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from gristmill.broker.acks import CALL_MOST, Acks
from gristmill.broker.scripts import Scripts
from gristmill.config.settings import settings

#: Renewals in a lease; seconds between two looks for dead consumers; seconds for an answer of the server.
RENEWALS, SCAN_SECONDS, ANSWER_SECONDS = 4, 2.0, 5.0
#: Messages handed back in one call, and calls in one scan.
SCAN_MOST, SCAN_CALLS = 500, 20

log = logging.getLogger(__name__)

#: Which of the messages that a process holds are given to a pool, by tag; the worker room says (worker.consumer).
running: Callable[[], set[str]] = set


class Lease:
    """What one process holds on one server: consumer name, held messages, acknowledgements. Not of a channel.

    The lease is the consumer's: one renewal covers all that is pending under its name, however much that is.
    Taking renews too, so nothing is ever read on a lease that has ended.
    """

    def __init__(self, parameters: dict[str, Any], prefix: str) -> None:
        self.seconds = settings().lease_seconds
        self.consumer = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.parameters = {**parameters, "socket_timeout": ANSWER_SECONDS, "retry": Retry(NoBackoff(), 0)}
        self.scripts = Scripts(self._client(), prefix)
        self.held: set[str] = set()
        self.acks = Acks(self.scripts, self.consumer, self.held)
        self.queues: set[str] = set()
        #: When each channel sent the read whose reply it has not dealt with yet.
        self.reading: dict[int, float] = {}
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._server: str | None = None
        self._unbroken_since: float | None = None

    def _client(self) -> Redis:
        return Redis(connection_pool=ConnectionPool(**self.parameters))

    def keep(self, queues: Iterable[str]) -> None:
        """Keep the lease on these queues from now on; the thread that does starts with the first."""
        self.queues.update(queues)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop keeping the lease; what is held comes back elsewhere once it has ended."""
        self._ended.set()

    def _run(self) -> None:
        renew_at = scan_at = 0.0
        while not self._ended.wait(max(0.05, min(renew_at, scan_at) - time.monotonic())):
            now = time.monotonic()
            try:
                if now >= renew_at:
                    renew_at = now + self.seconds / RENEWALS
                    self._renew()
                    self.acks.flush()
                if now >= scan_at:
                    scan_at = now + SCAN_SECONDS
                    self.scan()
            except (RedisError, OSError) as error:
                if self._unbroken_since is not None:
                    log.warning("the lease cannot be renewed: %s", error)
                self._unbroken_since = None
                renew_at = now + min(1.0, self.seconds / RENEWALS)
            except Exception:
                log.exception("the lease goes on")

    def _renew(self) -> None:
        server = self.scripts.client.info("server")["run_id"]
        silent = self.scripts.call("renew", self.consumer, *self.queues)
        # Seconds that this process was stopped, or the whole host: others may have been silent with it.
        away = silent / 1000 > self.seconds / 2
        if server != self._server or away or self._unbroken_since is None:
            self._server, self._unbroken_since = server, time.monotonic()

    def scan(self) -> None:
        """Hand back what dead consumers held, and what this process has lost sight of.

        Only after a lease of unbroken connection: when a server comes back, everybody's lease has ended.
        """
        since = self._unbroken_since
        if since is None or time.monotonic() - since <= self.seconds:
            return
        for _ in range(SCAN_CALLS):
            handed, more = self.scripts.call(
                "reclaim", self.consumer, int(self.seconds * 1000), SCAN_MOST, *self.queues
            )
            if handed:
                log.warning("%d messages of dead workers handed back", handed)
            if not more:
                break
        self.hand_back(self.forgotten(self.seconds / 2))

    def forgotten(self, seconds: float) -> list[str]:
        """What the server has down as ours for at least `seconds`, and we know nothing of."""
        oldest = min(self.reading.copy().values(), default=None)
        if oldest is not None:
            # A reply may lie unread in the socket.
            seconds = max(seconds, time.monotonic() - oldest + 1)
        tags = self.scripts.call("held", self.consumer, int(seconds * 1000), *self.queues)
        names = [tag.decode() if isinstance(tag, bytes) else tag for tag in tags]
        return [tag for tag in names if tag not in self.held]

    def hand_back(self, tags: Iterable[str], suspicion: int = 0) -> None:
        """Hand messages back in place; `suspicion` counts like so many returns from dead workers.

        What cannot be handed back now is forgotten, and so handed back by the next scans.
        """
        each = list(tags)
        self.held.difference_update(each)
        for start in range(0, len(each), CALL_MOST):
            self.scripts.call("back", self.consumer, suspicion, *each[start : start + CALL_MOST])

    def hand_back_all(self) -> None:
        """Hand back all that is not done, through a connection of its own: the process ends."""
        scripts = Scripts(self._client(), self.scripts.prefix)
        done = self.acks.unsettled()
        if done:
            scripts.call("ack", self.consumer, *done)
        rest = [tag for tag in list(self.held) if tag not in set(done)]
        for start in range(0, len(rest), CALL_MOST):
            scripts.call("back", self.consumer, 0, *rest[start : start + CALL_MOST])


_leases: dict[str, Lease] = {}
_lock = threading.Lock()


def lease_for(parameters: dict[str, Any], prefix: str) -> Lease:
    """This process's lease on the server that the connection `parameters` lead to."""
    where = "|".join(str(parameters.get(name)) for name in ("host", "port", "path", "db")) + f"|{prefix}"
    with _lock:
        if where not in _leases:
            _leases[where] = Lease(parameters, prefix)
        return _leases[where]


def end_all() -> None:
    """Forget every lease of this process: the next channel begins a new one, under another name."""
    while _leases:
        _leases.popitem()[1].end()


def hand_back_all() -> None:
    """Hand back all that this process holds, on every server; for a process that is about to end."""
    for lease in list(_leases.values()):
        lease.hand_back_all()


def _forget_in_child() -> None:
    # What the parent holds is the parent's; its sockets are only closed here, by the garbage collector.
    _leases.clear()
    _lock.release()


os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget_in_child)
