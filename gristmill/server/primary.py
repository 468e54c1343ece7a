"""Connections to the primary that Sentinel names: each finds it anew, and none outlives its time as the primary."""

import threading
import time
import weakref
from contextlib import suppress
from typing import Any

from redis import ConnectionPool, exceptions
from redis.connection import Connection, SSLConnection

from gristmill.server.internals import break_off
from gristmill.server.per_process import PerProcess
from gristmill.server.sentinel import Council, PrimaryUnknown, Sentinels, parse

#: Seconds between two questions whether another server has become the primary.
WATCH_SECONDS = 1.0

#: The highest epoch of a configuration that this process, or the one that started it, has seen.
_epochs: dict[Sentinels, int] = {}


def epochs() -> dict[Sentinels, int]:
    """The highest epochs that this process has seen, for a process that it starts: see `learn`."""
    return dict(_epochs)


def learn(epochs: dict[Sentinels, int]) -> None:
    """Have this process know the epochs that the process has seen which has started it."""
    for sentinels, epoch in epochs.items():
        _epochs[sentinels] = max(epoch, _epochs.get(sentinels, epoch))


class Primary:
    """The primary of one group of servers, as this process knows it: the one place that says where it is.

    While the process has connections to the primary, a thread asks the Sentinels. When these name another primary, it
    breaks off the connections to the earlier one: a server that is stopped or cut off does not do that itself.
    """

    def __init__(self, sentinels: Sentinels) -> None:
        self.sentinels = sentinels
        self._council = Council(sentinels)
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[PrimaryConnection] = weakref.WeakSet()
        self._watcher: threading.Thread | None = None

    @property
    def epoch(self) -> int:
        """The highest epoch of a configuration that this process has seen; -1 before the first one."""
        return _epochs.get(self.sentinels, -1)

    def find(self) -> tuple[tuple[str, int], int]:
        """The address of the primary, and the epoch of its configuration.

        Raises:
            PrimaryUnknown: the Sentinels do not answer, know only a configuration older than one that this process
                has seen, or say that the primary is down.
        """
        with self._lock:
            report = self._council.primary()
            if report.epoch < self.epoch:
                raise PrimaryUnknown(
                    f"the Sentinels name a primary of configuration {report.epoch}, older than {self.epoch}"
                )
            if report.epoch > self.epoch:
                _epochs[self.sentinels] = report.epoch
                self._break_off_older(report.epoch)
        if report.is_down:
            raise PrimaryUnknown(f"the Sentinels say that the primary {report.address[0]}:{report.address[1]} is down")
        return report.address, report.epoch

    def replicas(self) -> list[dict[str, Any]]:
        """The replicas that Sentinel knows, in redis-py's form."""
        with self._lock:
            return self._council.replicas()

    def watch_for(self, connection: "PrimaryConnection") -> None:
        """Break `connection` off once another server is the primary."""
        with self._lock:
            self._connections.add(connection)
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="sentinel", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            with self._lock:
                if not any(connection.is_connected for connection in self._connections):
                    self._watcher = None
                    return
            with suppress(PrimaryUnknown):
                self.find()

    def _break_off_older(self, epoch: int) -> None:
        for connection in list(self._connections):
            if connection.epoch < epoch:
                break_off(connection)


_primaries: PerProcess[Sentinels, Primary] = PerProcess()


def primary_of(sentinels: Sentinels) -> Primary:
    """This process's view of the primary that the Sentinels watch."""
    return _primaries.get(sentinels, lambda: Primary(sentinels))


class PrimaryConnection(Connection):
    """A connection to whichever server is the primary when it connects."""

    def __init__(self, *, sentinels: Sentinels, **kwargs: Any) -> None:
        self.sentinels = sentinels
        #: The epoch of the configuration by which this connection found the primary.
        self.epoch = -1
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:  # noqa: ARG002
        """Find the primary and connect to it. redis-py calls this for each new socket, also in the middle of a call.

        Raises:
            PrimaryUnknown: there is none, or it does not answer in time; the caller asks again.
        """
        if self.is_connected:
            return
        (self.host, self.port), self.epoch = primary_of(self.sentinels).find()
        try:
            super().connect_check_health(check_health=check_health, retry_socket_connect=False)
        except exceptions.TimeoutError as error:
            raise PrimaryUnknown(f"the primary {self.host}:{self.port} does not answer in time") from error

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read an answer. A primary that has become a replica counts as one that is away: another takes its place.

        Raises:
            PrimaryUnknown: the server is a replica by now.
        """
        try:
            return super().read_response(*args, **kwargs)
        except exceptions.ReadOnlyError as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise PrimaryUnknown(f"{self.host}:{self.port} is a replica by now: {error}") from error

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Log in, and make sure that the server is a primary.

        Raises:
            PrimaryUnknown: the server is a replica, or another server has become the primary.
        """
        primary = primary_of(self.sentinels)
        # Before the first answer: a server that is stopped accepts connections, and then says nothing.
        primary.watch_for(self)
        super().on_connect_check_health(check_health=check_health)
        self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
        role = self.read_response()[0]
        if role not in ("master", b"master"):
            raise PrimaryUnknown(f"{self.host}:{self.port} is not the primary")
        if self.epoch < primary.epoch:
            raise PrimaryUnknown(f"{self.host}:{self.port} is no longer the primary")


class PrimaryTlsConnection(PrimaryConnection, SSLConnection):
    """The same with TLS."""


def pool_of(url: str, **options: Any) -> ConnectionPool:
    """A pool of connections to the primary that a Sentinel URL names; `options` as for redis-py's `from_url`.

    Raises:
        ValueError, TypeError, RedisError: the URL is malformed.
    """
    sentinels, server_url = parse(url)
    kwargs = ConnectionPool.from_url(server_url, **options).connection_kwargs
    tls = server_url.startswith("rediss:")
    return ConnectionPool(PrimaryTlsConnection if tls else PrimaryConnection, **parameters(sentinels, kwargs, tls=tls))


def parameters(sentinels: Sentinels, kwargs: dict[str, Any], *, tls: bool) -> dict[str, Any]:
    """What a connection to the primary takes, from the parameters of a connection to one server.

    `host` does not lead anywhere: it tells one group of servers from another.
    """
    if tls:
        ssl = {name: value for name, value in kwargs.items() if name.startswith("ssl_")}
        sentinels = Sentinels(*sentinels[:-1], tuple(sorted(ssl.items())))
    rest = {name: value for name, value in kwargs.items() if name not in ("host", "port")}
    return {**rest, "sentinels": sentinels, "host": sentinels.label, "port": 0}


def primary_for(connection_kwargs: dict[str, Any]) -> Primary | None:
    """The primary that a pool with these parameters leads to; None for a server without Sentinel."""
    sentinels = connection_kwargs.get("sentinels")
    return None if sentinels is None else primary_of(sentinels)
