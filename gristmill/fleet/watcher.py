"""The watch over the fleet: a worker whose subscription is gone has died, and what it held is back within a second."""

import logging
import threading
import time
from collections.abc import Mapping
from math import inf
from typing import Any, cast

from gristmill.broker.leases import SCAN_MOST, Lease
from gristmill.broker.scripts import TransportScripts
from gristmill.fleet.absences import Absences
from gristmill.server.heartbeat import PeriodicCall
from gristmill.server.per_process import PerProcess
from gristmill.server.replies import by_name
from gristmill.server.scripts import Scripts
from gristmill.server.subscription import Subscription

#: Seconds between two looks of a watcher, so that every third one comes with the calls of each second.
LOOK_SECONDS = 0.33
#: Seconds between two looks whether the subscription stands, beside those when its connection ends; and the pause after
#: the connection has ended in a call.
HOLD_SECONDS, BREAK_SECONDS = 5.0, 0.1
#: Seconds between two enlistments: of a watcher, or of a worker that nobody tells when the fleet lacks a watcher; of a
#: worker that is told. Longer with more than 100 workers: all of them together enlist at most 100 times a second.
ENLIST_SECONDS, TOLD_SECONDS, ENLISTS_PER_SECOND = 1.0, 5.0, 100
#: Seconds that a read of more queues waits at most until the worker has enlisted with them.
ENLISTMENT_SECONDS = 1.0

log = logging.getLogger(__name__)


class Watcher:
    """What a worker does so that others see it die, and, while the server says so, its watch over the others.

    Several watch at a time (`enlist.lua`): the death of a watcher must be seen by one that has seen it alive.
    """

    def __init__(self, lease: Lease, worker: str) -> None:
        self.lease, self.worker = lease, worker
        # Of its own: an answer to another thread's call that is not read yet would look like the end of the connection
        # that has subscribed, and the watch would begin anew.
        client, prefix = lease.heartbeat.new_client(), lease.scripts.prefix
        self.subscription = Subscription(client.connection_pool, f"{prefix}gm1:alive:{lease.consumer}")
        self._scripts = TransportScripts(client, prefix)
        self._ledger_scripts = Scripts(client, prefix, "batches")
        self._absences = Absences()
        self._connections = 0
        #: That of them with which this worker has enlisted last.
        self._enlisted = 0
        self._is_new = True
        #: Whether it has enlisted with all queues that it reads.
        self._has_enlisted = threading.Event()
        #: Who took part in the watch at the last look, or when this worker enlisted and was alone; None after the
        #: connection has ended, and while others watch and this worker does not.
        self._members: set[str] | None = None
        #: Whether somebody tells this worker when the fleet lacks a watcher.
        self._is_told = False
        #: Why this worker cannot watch, although it is subscribed; empty when it can.
        self._problem = ""
        self._hold = PeriodicCall("subscription", HOLD_SECONDS, self.hold, wire=lambda: self.subscription.wire)
        self._enlist = PeriodicCall("enlisting", ENLIST_SECONDS, self.enlist, self._note_break)
        self._look = PeriodicCall("watching", LOOK_SECONDS, self.look, self._note_break)

    def begin(self) -> None:
        """Subscribe, enlist and watch from now on."""
        self.lease.on_more_queues = self._enlist_first
        self.lease.heartbeat.add(self._hold, self._enlist)
        if self.lease.queues:
            self._enlist_first()

    def _enlist_first(self) -> None:
        """Enlist before the next read: what a worker took that nobody knows comes back only with its lease."""
        self._has_enlisted.clear()
        self.lease.heartbeat.hasten(self._enlist, 0)
        self._has_enlisted.wait(ENLISTMENT_SECONDS)

    def _note_break(self) -> None:
        self._forget()
        self.lease.heartbeat.hasten(self._hold, BREAK_SECONDS)

    def _forget(self) -> None:
        self._absences.forget()
        self._members = None

    def tell(self, is_lacking: bool) -> None:
        """Hear whether the fleet lacks a watcher; called at least once a second from then on."""
        self._is_told = True
        if is_lacking and not (self.subscription.problem or self._problem):
            self.lease.heartbeat.hasten(self._enlist, 0)

    def hold(self) -> None:
        """Subscribe unless the connection has, and then enlist."""
        self.subscription.hold()
        if self.subscription.count != self._enlisted:
            self.lease.heartbeat.hasten(self._enlist, 0)
        elif self.subscription.wire < 0 and not self.subscription.problem:
            # The process has forked meanwhile.
            self.lease.heartbeat.hasten(self._hold, BREAK_SECONDS)

    def enlist(self) -> None:
        """Say who this worker is, and learn whether it watches the others."""
        queues = set(self.lease.queues)
        if not queues:
            # It enlists once it begins to read: nobody sees the death of a worker that has not.
            self._enlist.seconds = inf
            return
        # It may have ended while this thread made another call.
        self.subscription.hold()
        connections = self.subscription.count
        is_watcher, workers = self._scripts.call(
            "enlist",
            consumer=self.lease.consumer,
            worker=self.worker,
            problem=self.subscription.problem or self._problem,
            anew=connections != self._enlisted,
            queues=queues,
        )
        if queues == self.lease.queues:
            self._has_enlisted.set()
        is_single = workers == 1
        self._enlisted = connections
        watches = is_watcher and not is_single
        asks = ENLIST_SECONDS if watches or not self._is_told else TOLD_SECONDS
        self._enlist.seconds = asks if watches else max(asks, workers / ENLISTS_PER_SECOND)
        if watches:
            self.lease.heartbeat.add(self._look)
        else:
            self.lease.heartbeat.remove(self._look)
            self._forget()
            if is_single:
                self._members, self._connections = {self.lease.consumer}, connections

    def look(self) -> None:
        """Look who holds a subscription, and hand on what those held who are gone."""
        self.subscription.hold()
        now_ms, *flat = self._subscribers()
        at = time.monotonic()
        subscribers = by_name(flat)
        # Over another connection, or without a subscription of one's own, an absence says nothing: the server may have
        # restarted.
        is_seen = bool(subscribers.get(self.lease.consumer))
        if self.subscription.count != self._connections or not is_seen:
            self._forget()
        self._connections = self.subscription.count
        if is_seen:
            self._learn(subscribers)
        for consumer, since in self._absences.look(subscribers, at, now_ms):
            if not self._hand_on(consumer, since):
                self._absences.postpone(consumer, at, now_ms)
        due = self._absences.until_next(time.monotonic())
        self._look.seconds = LOOK_SECONDS if due is None else min(LOOK_SECONDS, due)

    def _learn(self, subscribers: Mapping[str, int]) -> None:
        """Learn from the server whom it has seen alive: all at the first look, later whoever came and went since.

        Not after a connection has broken: whatever broke it may have broken all of them.
        """
        if self._members is not None:
            if any(not count and consumer not in self._members for consumer, count in subscribers.items()):
                self._absences.trust(set(self._scripts.call("witnessed")) - self._members, lately=True)
        elif self._is_new and self._connections == 1:
            self._absences.trust(self._scripts.call("witnessed"))
        self._is_new, self._members = False, set(subscribers)

    def _subscribers(self) -> list[Any]:
        try:
            answer = cast(list[Any], self._scripts.call("subscribers"))
        except Exception as error:
            # A script's refusal has no class of its own.
            self._problem = str(error) if "NOPERM" in str(error) or "permission" in str(error) else ""
            raise
        self._problem = ""
        return answer

    def _hand_on(self, consumer: str, since: int) -> bool:
        """Hand back what a dead worker held; answers False if the server has heard of the worker since."""
        total, more = 0, 1
        while more:
            count, more = self._ledger_scripts.call("hand_on", consumer=consumer, since=since, most=SCAN_MOST)
            if count < 0:
                return False
            total += count
        if total:
            log.warning("handed back %d messages of a dead worker, %s", total, consumer)
        return True


_watchers: PerProcess[str, Watcher] = PerProcess()


def tell(*, is_lacking: bool) -> None:
    """Tell this process, once a second, whether the fleet lacks a watcher: it asks less often then."""
    for watcher in _watchers.all():
        watcher.tell(is_lacking)


def watch(lease: Lease, worker: str) -> None:
    """Have this process be watched, and watch others, for as long as it lives; `worker` is the worker's id."""
    _watchers.get(lease.consumer, lambda: Watcher(lease, worker)).begin()
