"""The connection to the server: its address, a client for it, and its errors in one line for a person."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from redis import ConnectionPool, DriverInfo, Redis, exceptions
from redis.maint_notifications import MaintNotificationsConfig

from gristmill.config.settings import settings
from gristmill.errors import GristmillError, ServerError, ServerFull, SettingError
from gristmill.server.home import Home
from gristmill.server.per_process import PerProcess
from gristmill.server.primary import pool_of
from gristmill.server.sentinel import FORM, is_sentinel
from gristmill.server.waiting import (
    COMMAND,
    FAILOVER,
    FOREVER,
    ONCE,
    START,
    Patience,
    Policy,
    cause_of,
    hopeless,
    patiently,
    refuses,
    unwritable,
)

log = logging.getLogger(__name__)

#: Seconds to wait for a connection.
CONNECT_SECONDS = 5

#: Seconds to wait for an answer: longer than our blocking reads, and than a busy disk needs for a write.
ANSWER_SECONDS = 15

#: Options of a TCP connection on which nothing is said: the kernel asks for the other end after 30 s, and misses it
#: after 60. The names are Linux's; elsewhere its own times hold, which are hours.
KEEPALIVE = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


def other_schema(error: BaseException | None) -> bool:
    """Whether another version of Gristmill wrote the batches on the server, in a form that this one cannot read."""
    return str(cause_of(error)).startswith("SCHEMA ")


def locate() -> str:
    """The server's URL: GRISTMILL_REDIS_URL, or that of the private server that runs in the home.

    Raises:
        ServerError: no server is running, or the home cannot be read.
        SettingError: the URL has a password and GRISTMILL_REDIS_PASSWORD is set.
    """
    url = settings().redis_url
    if url:
        return with_password(url, settings().redis_password)
    running = Home(settings().home).running()
    if running is None:
        raise ServerError(
            "no server is running: start one with `gristmill up`, "
            "or use `gristmill run`, which starts one for its own duration"
        )
    return running.url


#: Else each connection reads redis-py's version from the disk, which costs a process 1.4 MB of memory.
_DRIVER = DriverInfo()
#: Else each connection asks the server for notices of its maintenance, which only services of Redis's vendor send. That
#: is a call more, which the rights of `config/redis.acl` do not allow.
_NO_NOTICES = MaintNotificationsConfig(enabled=False)


def connect(url: str | None = None, policy: Policy = COMMAND, answer_seconds: float = ANSWER_SECONDS) -> Redis:
    """A client for the server at `url` (default: `locate()`) that threads can share. It connects at its first call.

    It answers in text. A call waits as `policy` says for a server that is away, and may then run a second
    time. It waits `answer_seconds` seconds for an answer. `rediss` checks the certificate unless the URL has
    `ssl_cert_reqs=none`.

    Raises:
        ServerError: as with `locate`.
        SettingError: the URL is malformed, or names a file that cannot be read.
    """
    url = url or locate()
    # redis-py refuses Celery's spelling.
    spelling = re.sub(r"(?<=ssl_cert_reqs=)CERT_\w+", lambda match: match[0][5:].lower(), url)
    make_pool = pool_of if is_sentinel(url) else ConnectionPool.from_url
    try:
        pool = make_pool(
            spelling,
            decode_responses=True,
            socket_connect_timeout=min(CONNECT_SECONDS, answer_seconds),
            socket_timeout=answer_seconds,
            socket_keepalive=True,
            socket_keepalive_options=KEEPALIVE,
            retry=Patience(for_server(url, policy)),
            driver_info=_DRIVER,
        )
        # Among the parameters of a connection, so that it holds for pools that are made from those of this one.
        pool.connection_kwargs["maint_notifications_config"] = _NO_NOTICES
        # Only a connection shows that an option of the URL is unknown: make one now.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, LookupError, exceptions.RedisError):
        # These errors may quote a part of the password.
        form = FORM if is_sentinel(url) else "redis://[USER]:[PASSWORD]@HOST:PORT/DATABASE"
        raise SettingError(
            f"invalid value for GRISTMILL_REDIS_URL (expected {form}, with special characters as %XX)"
        ) from None
    for option in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        file = pool.connection_kwargs.get(option)
        if file and not os.access(file, os.R_OK):
            raise SettingError(
                f"invalid value for {option} in GRISTMILL_REDIS_URL: {file!r} (expected a file that can be read here)"
            )
    return Redis.from_pool(pool)


def for_server(url: str, policy: Policy) -> Policy:
    """The policy of a call to the server at `url`: behind Sentinel it waits until another primary takes over."""
    is_short = 0 < policy.seconds < FAILOVER.seconds
    return FAILOVER if is_sentinel(url) and is_short else policy


def client() -> Redis:
    """This process's client for the server at `locate()`; a forked process gets its own.

    Raises:
        ServerError, SettingError: as with `connect`.
    """
    url = locate()
    return _clients.get(url, lambda: connect(url))


_clients: PerProcess[str, Redis] = PerProcess()


def wait_for_server(policy: Policy = START) -> None:
    """Wait until a worker can begin: a Procfile starts the server at the same moment as its workers.

    As long as `policy` says, it waits for a server whose address is not known yet; and for one that cannot write,
    however long. Whoever works with a server that does not answer waits for it later.

    Raises:
        ServerError: there is no server in time, it refuses the login, or its certificate is not trusted.
        SettingError: the server's URL is malformed.
    """
    patiently(locate, policy, lambda error: isinstance(error, ServerError))
    patiently(_check_server, FOREVER, unwritable)


def _check_server() -> None:
    """Raise if a worker cannot begin: the server can never be used, or cannot write now."""
    try:
        with connect(policy=ONCE) as client, reaching():
            client.ping()
    except ServerError as error:
        if unwritable(error):
            _warn_once(f"waiting for the server: {error}")
        if unwritable(error) or hopeless(error):
            raise


_warn_once = cache(log.warning)


def with_password(url: str, password: str | None) -> str:
    """The URL with the password in it, if there is one; the user stays.

    Raises:
        SettingError: the URL has a password already.
    """
    if not password:
        return url
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, _, host = authority.rpartition("@")
    if ":" in user:
        raise SettingError("GRISTMILL_REDIS_URL has a password, and GRISTMILL_REDIS_PASSWORD is set: keep one of them")
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}{rest[len(authority) :]}"


def without_password(url: str) -> str:
    """The URL without user, password and options, which can be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def reaching(url: str | None = None) -> Iterator[None]:
    """Raise one line for a person instead of redis-py's error; `url` is the server's (default: `locate()`).

    Raises:
        ServerFull: the server has no room, in memory or on its disk.
        ServerError: the server cannot be reached, or refuses a command.
    """
    try:
        yield
    except exceptions.RedisError as error:
        # The line says it all, and a chain of tracebacks helps nobody. The error stays as the context.
        raise _server_error(error, url) from None


def _server_error(error: exceptions.RedisError, url: str | None) -> GristmillError:
    home = Home(settings().home)
    if isinstance(error, exceptions.ConnectionError) and not (url or settings().redis_url) and not home.has_room():
        return ServerFull(f"the private server has ended: {home.crowded()}")
    try:
        at = without_password(url or locate())
    except GristmillError as missing:
        return missing
    return (ServerFull if refuses(error) else ServerError)(_explain(error, at))


class _Meaning(NamedTuple):
    """The sentence for errors of these classes, or with this mark in their text."""

    sentence: str
    classes: tuple[type[Exception], ...] = ()
    mark: str = ""

    def fits(self, error: Exception) -> bool:
        return isinstance(error, self.classes) or (self.mark != "" and self.mark in str(error))


#: The first that fits counts: a refused login and some others are ConnectionErrors to redis-py.
_MEANINGS = (
    _Meaning(
        "{at} refuses the login: check the user in GRISTMILL_REDIS_URL and the password",
        (exceptions.AuthenticationError, exceptions.AuthorizationError),
    ),
    _Meaning("{at} does not let this user do that: {reason}", (exceptions.NoPermissionError,)),
    _Meaning("{at} is still reading its data: try again in a moment", (exceptions.BusyLoadingError,), "LOADING"),
    _Meaning(
        "{at} is full: delete finished batches with `gristmill delete`, or give it more memory (maxmemory)",
        (exceptions.OutOfMemoryError,),
        "OOM command not allowed",
    ),
    _Meaning(
        "{at} has batches of another version of Gristmill ({reason}), which this one cannot read: run them to their "
        "end and delete them with that version, or set GRISTMILL_PREFIX to another prefix",
        mark="SCHEMA ",
    ),
    _Meaning("{at} cannot write to its disk: free some space, and read its log", mark="MISCONF"),
    _Meaning(
        "{at} has fewer replicas than its min-replicas-to-write, and takes no writes until it has enough",
        mark="NOREPLICAS",
    ),
    _Meaning("{at} is a read-only replica: name the primary", (exceptions.ReadOnlyError,), "READONLY"),
    _Meaning(
        "{at} is a Redis Cluster, which cannot be used",
        (
            exceptions.ClusterError,
            exceptions.MovedError,
            exceptions.AskError,
            exceptions.ClusterCrossSlotError,
        ),
        "non local key",
    ),
    _Meaning("{at} does not answer in time", (exceptions.TimeoutError,)),
    _Meaning("{at} takes no more connections", (exceptions.MaxConnectionsError,), "max number of clients"),
    _Meaning("{at} is not a Redis server: {reason}", (exceptions.InvalidResponse,)),
    _Meaning("{at} cannot be reached safely: {reason}", mark="[SSL"),
    _Meaning("no server answers at {at} ({hint})", mark="refused"),
    _Meaning("no server answers at {at}: {reason} ({hint})", (exceptions.ConnectionError,)),
    _Meaning("{at} refused a command: {reason}", (exceptions.RedisError,)),
)


def _explain(error: exceptions.RedisError, at: str) -> str:
    reason = re.sub(r"^Error .*?connecting to \S+\. ", "", " ".join(str(error).split()))[:200].rstrip(".")
    hint = "start one with `gristmill up`"
    if settings().redis_url:
        hint = "check GRISTMILL_REDIS_URL; without it `gristmill up` starts one"
    meaning = next(meaning for meaning in _MEANINGS if meaning.fits(error))
    return meaning.sentence.format(at=at, reason=reason, hint=hint)
