"""Sends the notices of batches: every live worker looks for those that are due, and whoever claims one sends it."""

import logging
import threading
import time
from functools import partial

from redis import Redis
from redis.exceptions import RedisError

from gristmill.batches.info import origin
from gristmill.batches.notices import Notice, Notices
from gristmill.config.settings import Settings
from gristmill.errors import GristmillError
from gristmill.server.waiting import OUTCOMES, backoff, patiently
from gristmill.worker.rare_log import RareLog
from gristmill.worker.upkeep.fleet_turns import FleetTurns
from gristmill.worker.upkeep.webhook import NoticeRefused, send

#: Seconds for which a worker looks for batches that are stuck in one step, at most.
WORK_SECONDS = 0.1
#: Notices that a worker sends at once.
SENDERS_MOST = 4
#: Seconds that a claim lasts: longer than a try, so the notice of a worker that dies is sent again after them.
CLAIM_SECONDS = 60.0
#: Seconds before the second try; twice as long before each further one, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 600.0

log = logging.getLogger(__name__)


class Notifier:
    """Looks for notices at each `step`, and sends them in threads that live while there are any.

    `client` is the heartbeat's; the threads use `others`.
    """

    def __init__(self, client: Redis, others: Redis, settings: Settings) -> None:
        self._settings = settings
        self._looking, self._sending = Notices(client, settings), Notices(others, settings)
        self._turns = FleetTurns()
        self._threads: list[threading.Thread] = []
        self._rare_log = RareLog(log)

    def step(self) -> None:
        """Look, and start a thread for each notice that is due, up to SENDERS_MOST.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        if not self._turns.is_mine():
            return
        end = time.monotonic() + WORK_SECONDS
        due, self._turns.workers, more = self._looking.look()
        while more and time.monotonic() < end:
            due, self._turns.workers, more = self._looking.look()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for _ in range(min(due, SENDERS_MOST) - len(self._threads)):
            thread = threading.Thread(target=self._run, name="notifier", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self) -> None:
        try:
            self.send_due()
        except (RedisError, GristmillError) as error:
            self._rare_log.warning("server", "cannot read what to notify, retrying: %s", error)

    def send_due(self) -> int:
        """Send notices until none is due that nobody else sends; return how many were delivered.

        Raises:
            RedisError, GristmillError: the server cannot be reached; what was claimed is sent again.
        """
        delivered = 0
        while notice := self._sending.claim(CLAIM_SECONDS):
            refusal = self._refusal(notice)
            # Without the note, the receiver gets the notice again.
            patiently(partial(self._settle, notice, refusal), OUTCOMES)
            delivered += refusal is None
        return delivered

    def _refusal(self, notice: Notice) -> NoticeRefused | None:
        try:
            send(notice, self._settings)
        except NoticeRefused as refusal:
            return refusal
        except Exception as error:
            # Another notice may fare better. The error may show the URL.
            log.error("batch %s: its notice cannot be sent: %s", notice.info.name, type(error).__name__)
            return NoticeRefused(type(error).__name__)
        return None

    def _settle(self, notice: Notice, refusal: NoticeRefused | None) -> None:
        """Note what became of a try: delivered, or tried again later, or given up."""
        if refusal is None:
            self._sending.note_delivery(notice)
            return
        to = origin(notice.url)
        pause = backoff(notice.tries, FIRST_PAUSE, LONGEST_PAUSE)
        if not refusal.is_final and self._sending.put_off(notice, str(refusal), pause):
            self._rare_log.warning(to, "batch %s: its notice to %s is tried again: %s", notice.info.name, to, refusal)
            return
        self._sending.give_up(notice, str(refusal))
        log.error("batch %s: its notice to %s is given up: %s", notice.info.name, to, refusal)
