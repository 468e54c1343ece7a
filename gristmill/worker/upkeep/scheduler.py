"""Makes the batches of schedules that are due: every live worker looks, and one of them does it."""

import logging
import time
from zoneinfo import ZoneInfoNotFoundError

from redis import Redis

from gristmill.batches.schedules import Schedules
from gristmill.config.settings import Settings
from gristmill.worker.rare_log import RareLog
from gristmill.worker.upkeep.fleet_turns import FleetTurns

#: Seconds for which a worker makes batches in one step, at most.
WORK_SECONDS = 0.3

log = logging.getLogger(__name__)


class Scheduler:
    """Looks for schedules that are due, at each `step`."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._schedules = Schedules(client, settings)
        self._turns = FleetTurns()
        self._rare_log = RareLog(log)

    def step(self) -> None:
        """Make the batches that are due, for WORK_SECONDS at most.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        if not self._turns.is_mine():
            return
        end = time.monotonic() + WORK_SECONDS
        while self._look() and time.monotonic() < end:
            pass

    def _look(self) -> bool:
        """Make what is due; whether more may be due at once: what came due a moment ago is made up for."""
        now, self._turns.workers, dues = self._schedules.look()
        done = False
        for due in dues:
            try:
                answer = self._schedules.fire(due, now)
            except ZoneInfoNotFoundError:
                # Another host may have it; and other schedules have other zones.
                self._rare_log.error(due.name, "schedule %s: this host has no time zone data: install tzdata", due.name)
                continue
            if answer in ("run", "missed", "overlap", "exists"):
                done = True
                log.log(logging.DEBUG if answer == "run" else logging.INFO, "schedule %s: %s", due.name, answer)
        return done
