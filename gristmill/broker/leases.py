"""Leases: a live process's claim on the messages it took, and the recovery of messages that dead processes held."""

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from math import inf
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from gristmill.broker.acks import CALL_MOST, Acks
from gristmill.broker.scripts import TransportScripts
from gristmill.broker.stock_keys import LIST_KEYS
from gristmill.config.settings import settings
from gristmill.server.heartbeat import RENEWALS, PeriodicCall, heartbeat_of, place_of
from gristmill.server.per_process import PerProcess
from gristmill.server.primary import primary_for

#: Seconds between two scans for dead consumers.
SCAN_SECONDS = 5.0
#: Seconds after which a message that this process does not have is one that it has lost, however late the scans are.
MISSED_SECONDS = 1.0
#: Most messages that one call hands back, and most calls of one scan.
SCAN_MOST, SCAN_CALLS = 500, 20
#: Seconds between two looks at the lists of our queues; most messages and bytes that one call moves, and most calls.
MOVE_SECONDS, MOVE_MOST, MOVE_BYTES, MOVE_CALLS = 0.5, 100, 1 << 18, 20
#: Least seconds between two calls that put messages on their queues which are due.
WAKE_SECONDS = 0.005

log = logging.getLogger(__name__)

#: Answers the tags of the messages that this process has handed to its pool; a worker's consumer sets it.
running: Callable[[], set[str]] = set
#: Answers, once, the tags of the messages that its pool has lost; a worker's consumer sets it.
lost: Callable[[], set[str]] = set


class Lease:
    """What one process holds on one server: its consumer name, its messages, its acknowledgements.

    It belongs to the process and not to a channel. One renewal covers every message that is pending under the
    consumer's name, however many those are. A take renews the lease too, so no process reads on an ended lease.
    """

    def __init__(self, client: Redis, prefix: str) -> None:
        self.seconds = settings().lease_seconds
        self.consumer = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.heartbeat = heartbeat_of(client)
        self.scripts = TransportScripts(self.heartbeat.client, prefix)
        self.holding: set[str] = set()
        self.acks = Acks(self.scripts, self.consumer, self.holding)
        self.queues: set[str] = set()
        #: Called when there are more of them; a worker's watch sets it.
        self.on_more_queues: Callable[[], object] = lambda: None
        #: Those of the queues whose lists this process takes.
        self.with_lists: set[str] = set()
        #: Channel id -> when that channel sent the read whose reply it has not processed yet (monotonic seconds).
        self.reading: dict[int, float] = {}
        self._calls = (
            PeriodicCall("lease", self.seconds / RENEWALS, self._renew, self._note_break),
            PeriodicCall("scanning", SCAN_SECONDS, self.scan, self._note_break),
        )
        self._wake_up = PeriodicCall("waking", inf, self._wake)
        self._list_moves = PeriodicCall("list-moving", MOVE_SECONDS, self.move_lists, self._note_break)
        #: What could not be handed back yet: tag -> `suspicion` and `unseen`.
        self._late: dict[str, tuple[int, bool]] = {}
        #: Those of the queues of which a message is due some time.
        self._queues_with_due: set[str] = set()
        #: Since when leases are renewed without a break (monotonic seconds).
        self._unbroken_since: float | None = None
        #: Whether no lease was renewed or failed to be yet.
        self._is_new = True
        #: Behind Sentinel, the epoch of the primary with which the connection is unbroken.
        self._epoch: int | None = None
        #: Tags that the server lists as ours and that this process does not hold -> since when (monotonic seconds).
        self._missed: dict[str, float] = {}
        #: Keys with the name of a queue's list and another type.
        self._other_keys: set[str] = set()

    def keep(self, queues: Collection[str], take_lists: bool = False) -> None:
        """Renew the lease on `queues` from now on, and take what is on their lists if `take_lists`."""
        is_more = not self.queues.issuperset(queues)
        self.queues.update(queues)
        self.heartbeat.add(*self._calls)
        if take_lists:
            self.with_lists.update(queues)
            self.heartbeat.add(self._list_moves)
        if is_more:
            self.on_more_queues()

    def wake_in(self, seconds: float, queues: Iterable[str]) -> None:
        """In `seconds` seconds, put what is due of `queues` on them; that wakes a reader, here or elsewhere.

        The heartbeat does it, so that it happens in time whether or not this process has room for the message.
        """
        self._queues_with_due.update(queues)
        self.heartbeat.hasten(self._wake_up, seconds)

    def _wake(self) -> None:
        milliseconds = self.scripts.call("wake", queues=self._queues_with_due)
        if milliseconds >= 0:
            self.wake_in(max(milliseconds / 1000, WAKE_SECONDS), ())

    def _note_break(self) -> None:
        self._unbroken_since, self._is_new = None, False

    def _renew(self) -> None:
        silent_ms = self.scripts.call("renew", consumer=self.consumer, queues=self.queues)
        is_another = self._is_another_primary() or may_be_another_server(silent_ms, self.seconds)
        unbroken_ms = self.scripts.call("unbroken", lease=int(self.seconds * 1000))
        if self._is_new:
            # A worker may live for less than a lease: a new process takes the server's word.
            self._unbroken_since, self._is_new = time.monotonic() - unbroken_ms / 1000, False
        elif self._unbroken_since is None or is_another:
            self._unbroken_since = time.monotonic()
        self.acks.flush()
        self._hand_back_late()

    def _is_another_primary(self) -> bool:
        """Whether Sentinel has named another primary since the last call."""
        primary = primary_for(self.scripts.client.connection_pool.connection_kwargs)
        before, self._epoch = self._epoch, None if primary is None else primary.epoch
        return self._epoch != before

    def scan(self) -> None:
        """Hand back messages that dead consumers held, and messages that this process lost sight of.

        Does nothing before a whole lease of unbroken connection: when a server comes back, every lease has ended.
        """
        if self._is_another_primary():
            self._note_break()
        since = self._unbroken_since
        if since is None or time.monotonic() - since <= self.seconds:
            self._missed = {}
            return
        for _ in range(SCAN_CALLS):
            silent = int(self.seconds * 1000)
            count, more = self.scripts.call(
                "reclaim", caller=self.consumer, silent=silent, most=SCAN_MOST, queues=self.queues
            )
            if count:
                log.warning("handed back %d messages of dead workers", count)
            if not more:
                break
        self.holding -= lost()
        if tags := self.unaccounted(self.seconds / 2):
            log.warning("handed back %d messages that this process has and does not run", len(tags))
            self.hand_back(tags)

    def move_lists(self) -> None:
        """Move what stock senders have put on the lists of our queues to their streams, in small steps."""
        for queue in tuple(self.with_lists):
            for _ in range(MOVE_CALLS):
                count, others = self.scripts.call(
                    "move", queue=queue, most=MOVE_MOST, bytes=MOVE_BYTES, suffixes=LIST_KEYS
                )
                for key in set(others) - self._other_keys:
                    self._other_keys.add(key)
                    log.warning("the key %r of queue %s is not a list: its content stays where it is", key, queue)
                if not count:
                    break

    def unaccounted(self, seconds: float) -> list[str]:
        """Tags that the server lists as ours for at least `seconds`, and this process held neither now nor a while ago.

        Only this process's clock says how long a while is: the server's may be set. A tag does not count while the
        socket may have a reply with it that nobody has read.
        """
        tags = self.scripts.call("held", consumer=self.consumer, idle=int(seconds * 1000), queues=self.queues)
        now, before = time.monotonic(), self._missed
        self._missed = {tag: before.get(tag, now) for tag in tags if tag not in self.holding}
        latest = min((now - MISSED_SECONDS, *self.reading.copy().values()))
        return [tag for tag, since in self._missed.items() if since < latest]

    def hand_back_unread(self) -> None:
        """Hand back what came in answers that nobody reads any more; no socket of this process may have another one.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        tags = self.scripts.call("held", consumer=self.consumer, idle=0, queues=self.queues)
        self.hand_back([tag for tag in tags if tag not in self.holding], unseen=True)

    def hand_back(self, tags: Iterable[str], suspicion: int = 0, unseen: bool = False) -> None:
        """Return messages to their places in their queues; `suspicion` counts like so many returns from dead workers.

        With `unseen`, the messages do not count as delivered: nobody has seen them.

        If that fails, the next renewals of the lease try again.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        every = list(tags)
        self.holding.difference_update(every)
        for start in range(0, len(every), CALL_MOST):
            portion = every[start : start + CALL_MOST]
            try:
                self.scripts.call("back", consumer=self.consumer, suspicion=suspicion, unseen=unseen, tags=portion)
            except (RedisError, OSError):
                self._late.update(dict.fromkeys(every[start:], (suspicion, unseen)))
                raise

    def _hand_back_late(self) -> None:
        late, self._late = self._late, {}
        for how in set(late.values()):
            # What this process has again was handed back, although no answer said so.
            self.hand_back([tag for tag in late if late[tag] == how and tag not in self.holding], *how)

    def hand_back_all(self) -> None:
        """Hand back every message that is not done, over a connection of its own: the process is about to end."""
        scripts = TransportScripts(self.heartbeat.new_client(), self.scripts.prefix)
        done = self.acks.unsettled()
        if done:
            scripts.call("ack", consumer=self.consumer, tags=done)
        rest = [tag for tag in list(self.holding) if tag not in set(done)]
        for start in range(0, len(rest), CALL_MOST):
            portion = rest[start : start + CALL_MOST]
            scripts.call("back", consumer=self.consumer, suspicion=0, unseen=False, tags=portion)


def may_be_another_server(silent_ms: int, lease_seconds: float) -> bool:
    """Whether the server restarted or another one took its place, or this process or its host stood still.

    `silent_ms` is for how long the server had not heard of this process when it renewed its lease; -1: never. After
    each of these faults every lease looks old, ours too, because the data of a server is the beginning of one history
    and the clock is the server's. So our own lease tells, and nobody needs a right to ask for the server's identity.
    """
    return silent_ms < 0 or silent_ms / 1000 > lease_seconds / 2


_leases: PerProcess[tuple[Any, ...], Lease] = PerProcess()


def lease_for(client: Redis, prefix: str) -> Lease:
    """This process's lease on the server of `client`, under the key `prefix`."""
    return _leases.get((*place_of(client), prefix), lambda: Lease(client, prefix))


def hand_back_all() -> None:
    """Hand back every message that this process holds, on every server; for a process that is about to end."""
    for lease in _leases.all():
        lease.hand_back_all()


def hand_back(tags: set[str]) -> None:
    """Hand back those of these messages that this process holds; what fails, the next renewals try again."""
    for lease in _leases.all():
        with suppress(RedisError, OSError):
            lease.hand_back(tags & lease.holding)
