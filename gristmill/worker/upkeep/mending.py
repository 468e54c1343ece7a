"""Mends live batches after a restart of the server, which may have applied half of a script; one worker does it."""

import logging
import time
from collections.abc import Iterator

from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.batches.repair import Findings, Repair, sentence
from gristmill.config.settings import Settings
from gristmill.server.internals import wire_of
from gristmill.server.one_connection import one_connection

#: Seconds between two looks, and of mending in each: the heartbeat has other calls to make.
MEND_SECONDS, PORTION_SECONDS = 1.0, 0.1
#: Milliseconds after which another worker begins anew what a worker did not bring to an end.
CLAIM_MS = 60_000

log = logging.getLogger(__name__)


class Mender:
    """Looks whether the server is another process than before, and if so examines and mends each live batch."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self._repair = Repair(client, settings)
        #: The server whose batches are mended, and the worker's claim to do that.
        self._key, self._claim = settings.key("mended"), settings.key("mending")
        self._server = ""
        #: The connection over which that server has answered.
        self._wire: object = None
        self._work: Iterator[Findings] = iter(())
        self._may_look = True

    def step(self) -> None:
        """Look, or mend for PORTION_SECONDS.

        Raises:
            RedisError: the server cannot be reached, or refuses.
        """
        end = time.monotonic() + PORTION_SECONDS
        for _ in self._work:
            if time.monotonic() > end:
                return
        self._work = iter(())
        if self._may_look and not self._is_settled():
            self._look()

    def _is_settled(self) -> bool:
        """Whether the connection is the one over which a mended server has answered: no other one does."""
        pool = self.client.connection_pool
        connection = pool.get_connection()
        try:
            return wire_of(connection) is self._wire
        finally:
            pool.release(connection)

    def _look(self) -> None:
        try:
            with one_connection(self.client.connection_pool) as client:
                connection = client.connection_pool.get_connection()
                wire, server = wire_of(connection), client.info("server")["run_id"]
                is_same = wire is wire_of(connection)
        except NoPermissionError as error:
            self._may_look = False
            log.warning(
                "after a restart of the server, run gristmill doctor --repair: workers cannot see one: %s", error
            )
            return
        if server != self._server and self.client.get(self._key) != server:
            if self.client.set(self._claim, server, nx=True, px=CLAIM_MS):
                self._work = self._mend(server)
            return
        self._server, self._wire = server, wire if is_same else None

    def _mend(self, server: str) -> Iterator[Findings]:
        for batch in self._repair.active():
            findings: Findings = {}
            for each in self._repair.steps(batch, mend=True):
                findings = each
                yield findings
            if findings:
                log.warning("mended batch %s after a restart of the server: %s", batch, sentence(findings))
        self._repair.queues(self._repair.queue_names(), mend=True)
        self._repair.limits(mend=True)
        self.client.set(self._key, server)
        self.client.delete(self._claim)
        self._server = server
