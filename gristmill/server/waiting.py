"""Waiting: who waits for how long for a server that is away, reads its data back or has no room."""

import random
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from itertools import count
from math import inf
from typing import Any, NamedTuple, TypeVar

from redis import exceptions
from redis.backoff import EqualJitterBackoff
from redis.retry import Retry

from gristmill.errors import ServerError
from gristmill.server.let import let

T = TypeVar("T")

#: What a server says that takes no writes.
_UNWRITABLE = ("MISCONF", "NOREPLICAS", "READONLY")

#: Seconds after the first failure, before jitter, of whoever waits for a server.
FIRST_SECONDS = 0.02


class Policy(NamedTuple):
    """How to wait for a server: for `seconds`, with waits of up to `pause` seconds between two tries."""

    seconds: float
    pause: float = 0.5

    def as_celery(self) -> dict[str, float]:
        """The same for Celery and kombu, which count tries."""
        pause = {"interval_start": self.pause, "interval_step": 0, "interval_max": self.pause}
        return {"max_retries": round(self.seconds / self.pause), **pause}


#: A heartbeat, which comes again by itself, and whoever only looks whether there is a server.
ONCE = Policy(0)
#: A command, or a call of a Python program: a server that restarts is back by then.
COMMAND = Policy(5)
#: A process that starts at the same moment as its server.
START = Policy(15)
#: A process whose owner starts the server at the same moment, and whose end is also its own.
OWNER = Policy(inf)
#: The least wait of whoever uses a server behind Sentinel, but for ONCE: another primary takes over by then.
FAILOVER = Policy(30)
#: A worker with outcomes in memory, or a request that waits for its turn: they are worth the wait.
OUTCOMES = Policy(60)
#: Whoever can do nothing else: a heartbeat between two tries, and a worker whose server cannot write.
FOREVER = Policy(inf, 1.0)


class Deadline:
    """A moment `seconds` from now; with None it never comes."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._end = inf if seconds is None else time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() > self._end

    @property
    def left(self) -> float | None:
        """Seconds until the moment, 0 once it has passed; None when it never comes."""
        return None if self.seconds is None else max(0.0, self._end - time.monotonic())


#: The deadline of a wait without a limit.
NEVER = Deadline(None)

_limit: ContextVar[Deadline] = ContextVar("limit", default=NEVER)


def within(deadline: Deadline) -> AbstractContextManager[None]:
    """Have nobody in this context wait for a server after `deadline`, whatever the policy."""
    return let(_limit, deadline)


def deadline_of(policy: Policy) -> Deadline:
    """When a wait that begins now ends: as the policy says, or sooner where `within` says so."""
    left = _limit.get().left
    return Deadline(policy.seconds if left is None else min(policy.seconds, left))


def backoff(attempt: int, first_seconds: float, longest_seconds: float = 600.0, luck: float | None = None) -> float:
    """Seconds to wait after failed attempt `attempt` (from 1): doubled for each attempt, capped, then jittered.

    `luck` from 0 to 1 picks a wait between half of that and all of it (default: random), so that those that failed
    together do not come back together ("equal jitter", AWS Architecture Blog, 2015).
    """
    full = min(longest_seconds, first_seconds * 2.0 ** min(attempt - 1, 30))
    share = random.random() if luck is None else luck  # noqa: S311  (not for secrets)
    return full / 2 + full / 2 * share


def cause_of(error: BaseException | None) -> BaseException | None:
    """What the server or redis-py said, where `error` is the line of `reaching` for a person."""
    return error.__context__ if isinstance(error, ServerError) else error


def hopeless(error: BaseException | None) -> bool:
    """Whether another try is useless: the server refuses the login, or its certificate is not trusted."""
    error = cause_of(error)
    mark = re.search(r"\[SSL: (CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER)", str(error))
    return mark is not None or isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError)


def unwritable(error: BaseException | None) -> bool:
    """Whether the server runs but refuses every write: it cannot write to its disk, lacks replicas, or is one now."""
    error = cause_of(error)
    return isinstance(error, exceptions.ReadOnlyError) or any(word in str(error) for word in _UNWRITABLE)


def demoted(error: Exception) -> bool:
    """Whether the server has become a replica: another one is the primary, or will be."""
    return isinstance(error, exceptions.ReadOnlyError) or "UNBLOCKED" in str(error)


def refuses(error: Exception) -> bool:
    """Whether the server runs but takes no writes now: it has no room, is a replica, or lacks one."""
    full = isinstance(error, exceptions.OutOfMemoryError) or "OOM command not allowed" in str(error)
    return full or unwritable(error)


def passing(error: Exception) -> bool:
    """Whether the same call may succeed later: the server is away, reads its data back, or cannot write."""
    away = isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError) and not hopeless(error)
    return away or refuses(error)


def patiently(
    call: Callable[[], T],
    policy: Policy,
    may_pass: Callable[[Exception], bool] = passing,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Call until there is an answer, for as long as the policy says; raise the last error, or one that cannot pass."""
    deadline = deadline_of(policy)
    for attempt in count(1):
        try:
            return call()
        except Exception as error:
            if deadline.over or not may_pass(error):
                raise
        sleep(backoff(attempt, FIRST_SECONDS, policy.pause))
    raise AssertionError


class Patience(Retry):
    """A policy for redis-py: retries while the server is away, but not after a refusal, and once after a timeout.

    Each retry is made over a new connection: the old one may have lost its other end without a word, or lead to a
    server that is a replica by now. redis-py's own class counts attempts, retries after a refused login too, and
    multiplies timeouts.
    """

    def __init__(self, policy: Policy) -> None:
        errors = (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ResponseError)
        super().__init__(EqualJitterBackoff(policy.pause, FIRST_SECONDS), -1, errors)
        self.policy = policy

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """Call `do` until it succeeds, the time is over, or another try is useless."""
        deadline, limit, timeouts = deadline_of(self.policy), _limit.get(), 0

        def retry(error: Exception) -> bool:
            nonlocal timeouts
            if is_retryable is not None and not is_retryable(error):
                return False
            if isinstance(error, exceptions.TimeoutError):
                timeouts += 1
                return timeouts == 1 and self.policy.seconds > 0 and not limit.over
            if isinstance(error, exceptions.ResponseError) and not demoted(error):
                return False
            final = hopeless(error) or isinstance(error, exceptions.MaxConnectionsError)
            return not final and not deadline.over

        return super().call_with_retry(do, fail, retry, with_failure_count)
