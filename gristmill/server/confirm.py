"""Confirmation: what leaves the server is first on the disks of as many replicas as a setting says.

Replication and the AOF are prefixes of one history. A write of a connection that the replicas confirm covers all that
the server did before it, if the connection is still the same: after another one was made, another server may have
answered, which lacks what the first one did. Who asks therefore makes a small write of its own on the same connection:
a call that was repeated may have changed nothing, and a reader has not written at all.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from redis import ConnectionPool, Redis, exceptions

from gristmill.config.settings import Settings, settings
from gristmill.errors import ServerError
from gristmill.server.let import let
from gristmill.server.one_connection import OneConnection, one_connection
from gristmill.server.waiting import FAILOVER, Deadline, Policy, deadline_of

T = TypeVar("T")

#: Milliseconds of the first wait for replicas, and of the longest. Each wait asks the replicas how far they are; one
#: that answers just before its write is on disk says nothing more for a second, and has to be asked again.
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 2, 1000
#: For how long the key stays to which confirmations write.
_KEPT_SECONDS = 30 * 24 * 3600
#: Answers of a server that has become a replica meanwhile.
_DEMOTED = ("replica", "UNBLOCKED")


class ConfirmationLost(exceptions.ConnectionError):
    """The connection that wrote is gone, so nobody knows whether the write survives: callers write again."""


#: Of the work of this context that is to be confirmed: the pool, and the one that has its connection meanwhile.
_going_on: ContextVar[tuple[ConnectionPool, ConnectionPool] | None] = ContextVar("going_on", default=None)
#: Whether the caller confirms later what this context writes.
_is_later: ContextVar[bool] = ContextVar("is_later", default=False)


def confirmed_later() -> AbstractContextManager[None]:
    """Have `confirmed` return as soon as the primary has done its work: the caller confirms what builds on that.

    Until then a failover may take the work back.
    """
    return let(_is_later, True)


def confirmed(client: Redis, settings: Settings, work: Callable[[Redis], T]) -> T:
    """Do `work` with a client of one connection, and return its answer once replicas have all that it wrote and read.

    `work` is done again on a new connection when the first one breaks, so it has to be repeatable. Within the work of
    another call for the same pool it is part of that, and confirmed with it. Without the setting CONFIRM_REPLICAS,
    and within `confirmed_later`, `work` gets `client` and is done once.

    Raises:
        ServerError: too few replicas have confirmed it within CONFIRM_SECONDS. It is not undone.
        RedisError: the server cannot be reached, or refuses.
    """
    if not settings.confirm_replicas or _is_later.get():
        return work(client)
    pool, going_on = client.connection_pool, _going_on.get()
    if going_on and pool in going_on:
        return work(Redis(connection_pool=going_on[1]))
    deadline = Deadline(settings.confirm_seconds + FAILOVER.seconds)
    while True:
        try:
            with one_connection(pool) as one:
                wire = _wire(one)
                with let(_going_on, (pool, one.connection_pool)):
                    answer = work(one)
                confirm(one, settings, wire)
        except ConfirmationLost:
            if deadline.over:
                raise
        else:
            return answer


def _wire(one: Redis) -> object:
    return cast(OneConnection, one.connection_pool).wire


def confirm(one: Redis, settings: Settings, wire: object) -> None:
    """Wait until replicas have all that the server did up to now; `wire` is that of the connection that wrote.

    Raises:
        ConfirmationLost: the connection is another one by now, or its server has become a replica.
        ServerError: too few replicas have confirmed it within CONFIRM_SECONDS.
    """
    deadline = deadline_of(Policy(settings.confirm_seconds))
    command = wait_command(one, settings.confirm_replicas)
    milliseconds = _FIRST_WAIT_MS
    try:
        _write(one, settings.key("meters:confirmed"))
        while True:
            answer = _ask(one, command, milliseconds)
            if wire is None or _wire(one) is not wire:
                raise ConfirmationLost("the connection that wrote has ended")
            if enough(answer, settings.confirm_replicas):
                return
            if deadline.over:
                raise ServerError(unconfirmed(answer, settings))
            milliseconds = min(2 * milliseconds, _LONGEST_WAIT_MS)
    except exceptions.ResponseError as error:
        if not any(word in str(error) for word in _DEMOTED):
            raise
        raise ConfirmationLost(str(error)) from error


def _write(one: Redis, key: str) -> None:
    """Make a small write; all users of config/redis.acl may write below this key's name."""
    # Once the key is there, a full server still lets it expire. So readers are confirmed there too: they could make no
    # room otherwise.
    if not one.expire(key, _KEPT_SECONDS):
        one.hset(key, "by", "whoever writes or reads")


def _ask(one: Redis, command: tuple[str | int, ...], milliseconds: int) -> Any:
    """The answer to WAITAOF or WAIT, which comes as soon as the time is over.

    A server with nothing to do looks at its clock every 100 ms. So a request that comes then wakes it.
    """
    connection: Any = cast(OneConnection, one.connection_pool).connection
    is_late = False
    try:
        connection.send_command(*command, milliseconds)
        is_late = not connection.can_read((milliseconds + 1) / 1000)
        if is_late:
            connection.send_command("PING")
        answer = connection.read_response()
        if is_late:
            connection.read_response()
    except exceptions.ResponseError:
        if is_late:
            # The answer to PING would be taken for that to the next request.
            connection.disconnect()
        raise
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        connection.disconnect()
        raise ConfirmationLost(str(error)) from error
    return answer


def enough(answer: Any, replicas: int) -> bool:
    """Whether an answer of WAITAOF (local and remote copies on disk) or of WAIT confirms a write."""
    if isinstance(answer, int):
        return answer >= replicas
    return int(answer[0]) >= 1 and int(answer[1]) >= replicas


def unconfirmed(answer: Any, settings: Settings) -> str:
    """The line for a person about a write that too few replicas have."""
    number = answer if isinstance(answer, int) else answer[1]
    return (
        f"not confirmed: {number} of {settings.confirm_replicas} replicas have the write after "
        f"{settings.confirm_seconds:g} s (GRISTMILL_CONFIRM_REPLICAS); it is on the primary and may still be lost: "
        "repeat the command"
    )


#: Whether a pool's server knows WAITAOF, by the pool's class and place.
_knows_waitaof: dict[tuple[Any, ...], bool] = {}


def wait_command(client: Redis, replicas: int) -> tuple[str | int, ...]:
    """The command that waits for `replicas` replicas, without its milliseconds: WAITAOF, or WAIT before Redis 7.2.

    Raises:
        RedisError: the server cannot be reached, or does not let this user wait.
    """
    kwargs = client.connection_pool.connection_kwargs
    place = tuple(kwargs.get(name) for name in ("path", "host", "port"))
    if place not in _knows_waitaof:
        try:
            cast(Any, client).execute_command("WAITAOF", 0, 0, 1)
            _knows_waitaof[place] = True
        except exceptions.ResponseError as error:
            if "unknown command" not in str(error).lower():
                raise
            _knows_waitaof[place] = False
    return ("WAITAOF", 1, replicas) if _knows_waitaof[place] else ("WAIT", replicas)


class ConfirmedLot:
    """A pipeline of writes, not repeatable, whose `execute` returns once replicas have them all."""

    def __init__(self, pipeline: Any, pool: ConnectionPool) -> None:
        self._pipeline, self._pool = pipeline, pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def execute(self) -> list[Any]:
        """Send the writes, and wait for the replicas.

        Raises:
            ConfirmationLost: the connection broke after the writes: another server may lack them.
            ServerError: too few replicas have confirmed them within CONFIRM_SECONDS. They are not undone.
            RedisError: the server cannot be reached, or refuses.
        """
        with one_connection(self._pool) as one:
            self._pipeline.connection_pool = one.connection_pool
            answers = list(self._pipeline.execute())
            confirm(one, settings(), _wire(one))
        return answers
