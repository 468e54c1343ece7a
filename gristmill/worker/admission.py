"""Admission: a worker starts no item whose slots or memory it does not have."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from celery.utils.log import get_logger
from celery.worker import state
from redis.exceptions import RedisError

from gristmill.config.resources import Resources
from gristmill.worker.celery_internals import members_of
from gristmill.worker.rare_log import RareLog

#: What an item takes that says nothing else.
ONE_SLOT = Resources()
#: Seconds for which the first message that does not fit waits here: then it goes back, for a worker with more room.
HOLD_SECONDS = 5.0
#: Seconds for which a message that goes back is hidden; and one that never fits here.
HIDDEN_SECONDS, MISFIT_SECONDS = 1.0, 5.0

rare_log = RareLog(get_logger(__name__))


class Admission:
    """Stands between Celery's consumer and its pool; with nothing but items of one slot it passes all of them on.

    What is in use is what Celery's own set of reserved requests has, so a process that dies releases what its item
    took. Messages start in the order in which they came: while the first one waits, later ones go back to the queue.
    """

    def __init__(self, start: Callable[[Any], None], capacity: Callable[[], Resources], timer: Any) -> None:
        self._start, self._capacity, self._timer = start, capacity, timer
        #: Messages with more than one slot, or memory, that may be in use.
        self._heavy: WeakSet[Any] = WeakSet()
        #: The message that waits until it fits; None if none does.
        self._next: Any = None
        self._lock = threading.Lock()

    def __call__(self, request: Any) -> None:
        """Start a message, hold it until it fits, or hand it back."""
        needs = needs_of(request)
        if needs == ONE_SLOT and self._next is None and not self._heavy:
            self._start(request)
            return
        if not _within(needs, self._capacity()):
            rare_log.warning(request.name, "handed back a message that needs %s: this worker has less", needs)
            hand_back(request, MISFIT_SECONDS)
            return
        with self._lock:
            is_next = self._next is None
            if is_next:
                self._next = request
        if not is_next:
            hand_back(request, HIDDEN_SECONDS)
            return
        self.resume()
        if request is self._next:
            self._timer.call_after(HOLD_SECONDS, self._give_up, (request,))

    def resume(self) -> None:
        """Start the message that waits, if it fits now; to be called when a message has ended."""
        if self._next is None:
            return
        with self._lock:
            request, reserved = self._next, members_of(state.reserved_requests)
            # Its update in place keeps references that do not notice when a request is gone.
            self._heavy = self._heavy.intersection(reserved)
            if request is None:
                return
            is_reserved, others = request in reserved, [other for other in reserved if other is not request]
            if is_reserved and not _within(needs_of(request), self._capacity(), others):
                return
            self._next = None
            if not is_reserved:
                # Its connection broke: Celery has forgotten it, and its lease hands it back.
                return
            if needs_of(request) != ONE_SLOT:
                self._heavy.add(request)
        self._start(request)

    def give_up(self) -> None:
        """Hand back the message that waits: this worker takes none for now."""
        request = self._next
        if request is not None:
            self._give_up(request, 0.0)

    def _give_up(self, request: Any, seconds: float = HIDDEN_SECONDS) -> None:
        with self._lock:
            if request is not self._next:
                return
            self._next = None
        hand_back(request, seconds)


def needs_of(request: Any) -> Resources:
    """What the items of a message take: a chunk's message says it at its end, a plain call has what its task says."""
    if not getattr(request.task, "quarantines_items", False):
        resources = getattr(request.task, "resources", ONE_SLOT)
        return resources if isinstance(resources, Resources) else ONE_SLOT
    values = request.args[6:8]
    return Resources(*values) if [type(value) for value in values] == [int, int] else ONE_SLOT


def _within(needs: Resources, capacity: Resources, others: Any = ()) -> bool:
    used = [needs, *map(needs_of, others)]
    return sum(each.slots for each in used) <= capacity.slots and sum(each.memory for each in used) <= capacity.memory


def hand_back(request: Any, seconds: float) -> None:
    """Return a message that has not started to its queue, hidden for `seconds` seconds."""
    state.task_ready(request)
    request.acknowledged = True
    # If it fails, a later scan hands the message back.
    with suppress(RedisError, OSError):
        request.message.channel.qos.postpone(request.message.delivery_tag, seconds)
