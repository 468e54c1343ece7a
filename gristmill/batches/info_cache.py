"""The infos of many batches for whoever looks again and again: each is read when its batch has changed."""

import threading
from collections.abc import Callable, Sequence

from redis import Redis

from gristmill.batches.info import BatchInfo, State
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import Settings
from gristmill.server.key_tracking import KeyTracking


class InfoCache:
    """The infos of the batches on one server; threads may share it.

    A look costs what has changed since the last one, because the server tells whose state that is. On a server that
    does not tell, each look reads all.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._settings = settings
        self._tracking = KeyTracking(client.connection_pool)
        self._session: object | None = None
        #: What was read in that session, and has not changed since.
        self._infos: dict[str, BatchInfo] = {}
        self._lock = threading.Lock()
        self._before, self._behind = settings.key("batch:"), ":state"

    def infos(self, names: Sequence[str]) -> list[BatchInfo]:
        """The info of each batch in `names` that is on the server, in their order, as it is now.

        Raises:
            RedisError: the server cannot be reached, or another version wrote its batches.
        """

        def checked(ledger: Ledger) -> Sequence[str]:
            ledger.check_schema()
            return names

        return self._current(checked)

    def active(self) -> list[BatchInfo]:
        """The infos of the batches that have not ended, the oldest first. Raises as `infos`."""
        return self._current(Ledger.active)

    def _current(self, names: Callable[[Ledger], Sequence[str]]) -> list[BatchInfo]:
        """The infos of the batches that `names` gives; it asks the server, whose answer comes behind the news."""
        with self._lock:
            while True:
                session = self._tracking.session()
                if session is None or session is not self._session:
                    self._infos, self._session = {}, session
                infos = self._look(names)
                if self._tracking.is_in(session) or session is None:
                    return infos

    def tasks(self) -> set[str]:
        """The tasks of the batches that were read and are still there."""
        # A copy is made in one step: nobody waits here for what others read.
        return {info.task for info in tuple(self._infos.values())}

    def _look(self, names: Callable[[Ledger], Sequence[str]]) -> list[BatchInfo]:
        ledger = Ledger(self._tracking.client, self._settings)
        order = names(ledger)
        self._forget_changed()
        infos = self._infos
        missing = [name for name in order if name not in infos]
        read = {info.name: info for info in ledger.infos(missing)} if missing else {}
        # The time alone makes an abandoned batch of one whose producer says no more.
        infos.update((name, info) for name, info in read.items() if info.state is not State.SUBMITTING)
        answer = [info for name in order if (info := read.get(name) or infos.get(name))]
        self._forget_changed()
        return answer

    def _forget_changed(self) -> None:
        changed = self._tracking.changed()
        if changed is None:
            self._infos.clear()
            return
        for key in changed:
            if key.startswith(self._before) and key.endswith(self._behind):
                self._infos.pop(key[len(self._before) : -len(self._behind)], None)
