"""Ends what `cancel --kill` cancelled while this worker ran it."""

import logging
from collections.abc import Iterable
from typing import Any

from gristmill.worker.celery_internals import taken_requests
from gristmill.worker.item_kills import end_item

#: Seconds after a kill at which to look whether the process has died.
LOOK_SECONDS = 0.1

log = logging.getLogger(__name__)


class Kills:
    """The messages and items that a worker is to end; the server repeats them with each heartbeat until they have."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._ids: set[str] = set()
        self._ended: set[str] = set()

    def ended(self) -> list[str]:
        """The ids of the messages that have ended, for the next heartbeat."""
        return list(self._ended)

    def learn(self, ids: Iterable[str], confirmed: Iterable[str]) -> None:
        """End the messages `ids`; the server has heard of `confirmed` that they ended."""
        self._ended.difference_update(confirmed)
        for identity in {*ids} - self._ids - self._ended:
            self._ids.add(identity)
            if self._worker.hub:
                # Celery's requests belong to the event loop.
                self._worker.hub.call_soon(self._end, identity)
            else:
                self._end(identity)

    def _end(self, identity: str) -> None:
        try:
            batch, is_item, index = identity.partition("#")
            if is_item and not end_item(batch, int(index), self._worker.pool):
                # The process is about to die. Should this look come too early, the server repeats the id.
                if self._worker.hub:
                    self._worker.hub.call_later(LOOK_SECONDS, self._look_again, identity)
                return
            for request in [each for each in taken_requests() if each.id == identity]:
                # SIGKILL ends code that ignores SIGTERM too.
                request.terminate(self._worker.pool, signal="SIGKILL")
                log.info("ended %s, which was cancelled", identity)
            self._ended.add(identity)
        except Exception as error:
            log.warning("cannot end %s, which was cancelled, trying again: %r", identity, error)
        finally:
            self._ids.discard(identity)

    def _look_again(self, identity: str) -> None:
        if identity not in self._ids | self._ended:
            self._ids.add(identity)
            self._end(identity)
