"""The loop of autoscale: looks, decides, stores what it decided, and makes it so."""

import os
import socket
import threading
from collections.abc import Callable, Mapping

from redis import Redis
from redis.exceptions import RedisError

from gristmill.config.settings import Settings
from gristmill.errors import GristmillError
from gristmill.fleet.autoscale_seat import Seat, Status
from gristmill.fleet.autoscaling import Aim
from gristmill.fleet.overview import Observer, Overview
from gristmill.fleet.server_cpu import ServerCpu
from gristmill.local.reach import Reach
from gristmill.local.slot_choice import SlotChoice


class Autoscaler:
    """Gives each queue of `bounds` as many slots as have its batches done in time. `say` gets a line for each change.

    What it has decided is on the server, and it goes on from there, whoever decided it.
    """

    def __init__(
        self,
        client: Redis,
        settings: Settings,
        reach: Reach,
        bounds: Mapping[str, tuple[int, int]],
        aim: Aim,
        say: Callable[[str], None],
    ) -> None:
        self._reach, self._aim, self._say = reach, aim, say
        self._observer, self._cpu = Observer(client, settings), ServerCpu()
        self._choice = SlotChoice(reach, bounds, aim, self._observer.fleet.waiting)
        self._seat = Seat(client, settings, f"{socket.gethostname()} (pid {os.getpid()})")
        self._change: threading.Thread | None = None
        self._standing_by = self._failure = ""

    def step(self) -> None:
        """Look once, and act if no other autoscale does.

        Raises:
            RedisError, GristmillError: the server cannot be reached.
        """
        other, status = self._seat.take()
        if other:
            if other != self._standing_by:
                self._say(f"autoscale of {other} acts: this one stands by")
            self._standing_by = other
            return
        if self._standing_by:
            self._say(f"autoscale of {self._standing_by} is gone: this one acts")
            self._standing_by = ""
        overview = self._observer.look()
        queues = self._choice.next(overview, self._cpu.look(self._observer.client), status.queues)
        for queue, past in queues.items():
            before = status.queues.get(queue)
            if before is None or before.slots != past.slots:
                change = f"{past.slots:,}" if before is None else f"{before.slots:,} to {past.slots:,}"
                self._say(f"{queue}: {change} {'slot' if past.slots == 1 else 'slots'}: {past.reason}")
        self._seat.take(Status(overview.at, self._reach.name, self._aim.target, self._aim.idle, self._failure, queues))
        if self._change is None or not self._change.is_alive():
            slots = {queue: past.slots for queue, past in queues.items()}
            # Beside this loop: a command may take longer than the seat lasts without a sign of life.
            self._change = threading.Thread(target=self._apply, args=(slots, overview), daemon=True)
            self._change.start()

    def leave(self) -> None:
        """Let another autoscale act; the slots stay as they are."""
        if not self._standing_by:
            self._seat.leave()

    def _apply(self, slots: Mapping[str, int], overview: Overview) -> None:
        failure = ""
        try:
            self._reach.apply(slots, overview.workers)
        except (RedisError, GristmillError) as error:
            failure = str(error)
        if failure and failure != self._failure:
            self._say(f"cannot scale, trying again: {failure}")
        self._failure = failure
