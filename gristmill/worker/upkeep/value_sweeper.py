"""The thread of a worker that sees to the shared data root: whether this host sees it, and that files go when they can.

It is a thread of its own, because a network file system may hang, and the heartbeat must not.
"""

import logging
import threading
import time

from redis.exceptions import RedisError

from gristmill.batches.shared_root import SharedRoot
from gristmill.batches.value_sweep import ValueSweep
from gristmill.config.settings import settings, variable
from gristmill.errors import GristmillError
from gristmill.server.connection import client

#: Seconds between two looks.
LOOK_SECONDS = 15.0

log = logging.getLogger(__name__)


class ValueSweeper:
    """Looks after the shared data root while the worker runs, if the settings declare one."""

    def __init__(self) -> None:
        #: `seen`, or `missing` if the data root of this host is not the one that others share; empty if none is
        #: declared, or nobody has looked yet.
        self.root = ""

    def start(self) -> None:
        """Start the thread, if it has anything to do."""
        if settings().shared_data_root:
            threading.Thread(target=self._run, name="value-sweeper", daemon=True).start()

    def look(self) -> None:
        """Look once, and sweep if it is this worker's turn.

        Raises:
            RedisError, GristmillError: the server cannot be reached.
            OSError: the data root cannot be written to.
        """
        root = SharedRoot(client(), settings())
        mark = root.establish()
        is_seen = root.is_seen(mark)
        if not is_seen and self.root != "missing":
            log.warning(
                "the data root of this host is not the one that others share, so values over 1 MiB fail here: it has "
                "no %s (%s)",
                mark,
                variable("data_root"),
            )
        self.root = "seen" if is_seen else "missing"
        sweep = ValueSweep(client(), settings())
        if is_seen and sweep.claim() and (deleted := sweep.sweep()):
            log.info("deleted %d files of values that count for nothing", deleted)

    def _run(self) -> None:
        is_failing = False
        while True:
            try:
                self.look()
            except (RedisError, GristmillError, OSError) as error:
                level = logging.DEBUG if is_failing else logging.WARNING
                log.log(level, "cannot look after the shared data root, retrying: %s", error)
                is_failing = True
                if isinstance(error, OSError):
                    self.root = "missing"
            else:
                is_failing = False
            time.sleep(LOOK_SECONDS)
