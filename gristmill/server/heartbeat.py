"""The heartbeat: what a process tells a server again and again, from one thread and over one connection."""

import logging
import threading
import time
from collections.abc import Callable
from math import inf
from operator import attrgetter
from typing import Any

from redis import ConnectionPool, Redis
from redis.exceptions import RedisError

from gristmill.errors import GristmillError
from gristmill.server.bell import Bell
from gristmill.server.per_process import PerProcess
from gristmill.server.quick_client import QuickClient, QuickPool
from gristmill.server.waiting import FOREVER, ONCE, Patience

#: How often a process renews a lease before the lease would end.
RENEWALS = 4
#: The share of its period by which a call may come early, when the thread is awake for another one: to wake costs about
#: as much as a call.
EARLY = 0.1
#: Seconds to wait for an answer: less than a lease has.
ANSWER_SECONDS = 5.0

log = logging.getLogger(__name__)


class PeriodicCall:
    """One thing that a heartbeat does every `seconds` seconds, in the heartbeat's thread.

    `do` does it. When it raises, `on_failure` is called, the first failure in a row is logged, and the next try
    comes after `seconds` seconds or a second, whichever is sooner. With infinite `seconds`, the heartbeat does it
    only when `hasten` asks for that. It is due at once when something can be read from the descriptor that `wire`
    answers; -1: there is none.
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        do: Callable[[], Any],
        on_failure: Callable[[], None] = lambda: None,
        wire: Callable[[], int] = lambda: -1,
    ) -> None:
        self.name, self.seconds, self.wire = name, seconds, wire
        self._do, self._on_failure = do, on_failure
        #: When to run next (monotonic seconds).
        self.due = inf if seconds == inf else 0.0
        self._is_failing = False

    @property
    def earliest(self) -> float:
        """When it may run if the thread is awake (monotonic seconds); new calls run in their order."""
        return self.due - EARLY * self.seconds if self.due and self.seconds < inf else self.due

    def run(self) -> float:
        """Do it; answers the seconds until it has to be done again."""
        try:
            self._do()
        except Exception as error:
            unexpected = not isinstance(error, RedisError | OSError | GristmillError)
            level = logging.DEBUG if self._is_failing else logging.ERROR if unexpected else logging.WARNING
            log.log(level, "%s heartbeat failed, retrying: %s", self.name, error, exc_info=unexpected)
            self._is_failing = True
            self._on_failure()
        else:
            self._is_failing = False
        return min(self.seconds, FOREVER.pause) if self._is_failing else self.seconds


_EARLIEST = attrgetter("earliest")


class Heartbeat:
    """The calls of this process on one server. Its thread runs while there are any, and no call ends it."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        #: Answers in text. The thread needs one of its connections; other threads may call it too.
        self.client = self.new_client()
        self.calls: list[PeriodicCall] = []
        self._lock, self._bell = threading.Lock(), Bell()
        self._thread: threading.Thread | None = None

    def new_client(self) -> Redis:
        """A client with connections of its own, which waits for no server that is away."""
        once = {"retry": Patience(ONCE), "socket_timeout": ANSWER_SECONDS, "decode_responses": True}
        # A call that gets no answer tells as much as a PING before it.
        parameters = {**self._pool.connection_kwargs, **once, "health_check_interval": 0}
        # As long as for an answer.
        parameters.pop("socket_connect_timeout", None)
        return QuickClient(connection_pool=QuickPool(self._pool.connection_class, **parameters))

    def tidy(self) -> None:
        """End the connections that only calls at the same moment have needed, and none since the last call of this."""
        pool: Any = self.client.connection_pool
        pool.tidy()

    def add(self, *calls: PeriodicCall) -> None:
        """Run `calls` from now on; those that run already go on as they do."""
        if all(call in self.calls for call in calls):
            return
        with self._lock:
            self.calls += [call for call in calls if call not in self.calls]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
                self._thread.start()
        self._wake()

    def remove(self, *calls: PeriodicCall) -> None:
        """Run `calls` no more; one that runs at this moment is not interrupted."""
        with self._lock:
            self.calls = [call for call in self.calls if call not in calls]
        self._wake()

    def hasten(self, call: PeriodicCall, seconds: float) -> None:
        """Run `call`, which is one of this heartbeat's or will be, in `seconds` seconds, unless it is due before."""
        self.add(call)
        with self._lock:
            due = time.monotonic() + seconds
            is_sooner = due < call.due
            if is_sooner:
                call.due = due
        if is_sooner:
            self._wake()

    def _wake(self) -> None:
        # The thread itself looks at its calls before it sleeps.
        if threading.current_thread() is not self._thread:
            self._bell.ring()

    def _run(self) -> None:
        while call := self._next():
            seconds = call.run()
            with self._lock:
                # Somebody may have asked for it meanwhile.
                call.due = min(call.due, time.monotonic() + seconds)

    def _next(self) -> PeriodicCall | None:
        """Wait for the call that is due next; None, and the end of the thread, when there are no calls."""
        while True:
            with self._lock:
                if not self.calls:
                    self._thread = None
                    return None
                call = min(self.calls, key=_EARLIEST)
                if call.earliest <= time.monotonic():
                    call.due = inf
                    return call
                seconds = min(call.due for call in self.calls) - time.monotonic()
                wires = {wire: call for call in self.calls if (wire := call.wire()) >= 0}
            for wire in self._bell.wait(max(0.0, seconds), wires):
                self.hasten(wires[wire], 0.0)


_heartbeats: PerProcess[tuple[Any, ...], Heartbeat] = PerProcess()


def heartbeat_of(client: Redis) -> Heartbeat:
    """This process's heartbeat on the server of `client`: one for a server and user, whoever asks."""
    pool = client.connection_pool
    return _heartbeats.get(place_of(client), lambda: Heartbeat(pool))


def place_of(client: Redis) -> tuple[Any, ...]:
    """Which server and database a client leads to, and as whom, however its URL spells that."""
    kwargs = client.connection_pool.connection_kwargs
    where = (kwargs["path"],) if "path" in kwargs else (kwargs.get("host", "localhost"), int(kwargs.get("port", 6379)))
    return *where, int(kwargs.get("db") or 0), kwargs.get("username") or None, kwargs.get("password") or None
