"""How a worker ends: running items get some seconds to finish, then their messages return to the queue."""

import logging
import os
import signal
import threading
from typing import Any

from celery.bootsteps import StartStopStep

from gristmill.broker.leases import hand_back_all
from gristmill.config.settings import settings
from gristmill.local.descendants import end_descendants, stop_descendants
from gristmill.worker.celery_internals import end_when_drained, wake
from gristmill.worker.heartbeat import WorkerHeartbeat
from gristmill.worker.loop.event_loop import interrupt_runs
from gristmill.worker.restoration.signal_state import keep_handlers_from_copies
from gristmill.worker.runs.rows import run_rows

#: Most seconds for handing messages back.
HAND_BACK_SECONDS = 5.0
#: Most seconds that coroutines have for their `finally` and `async with` when the worker does not wait any longer.
CLEAN_UP_SECONDS = 2.0

log = logging.getLogger(__name__)


class Drain(StartStopStep):
    """Replaces Celery's signal handlers: TERM or Ctrl-C drains, a second one hands back at once, as QUIT does.

    Celery's warm shutdown waits for ever, and its soft shutdown always waits its whole time.
    """

    requires = (WorkerHeartbeat,)

    def start(self, worker: Any) -> None:
        """Install the handlers, in the main thread."""
        self.worker = worker
        self.draining = False
        signal.signal(signal.SIGTERM, self._drain)
        signal.signal(signal.SIGINT, self._drain)
        signal.signal(signal.SIGQUIT, self._hand_back)
        keep_handlers_from_copies()

    def _drain(self, signum: int, frame: Any) -> None:
        if self.draining:
            self._hand_back(signum, frame)
        self.draining = True
        run_rows.stop(True)
        end_when_drained(os.EX_OK)
        wake(self.worker.hub)
        deadline = threading.Timer(settings().drain_seconds, os.kill, (os.getpid(), signal.SIGQUIT))
        deadline.daemon = True
        deadline.start()

    def _hand_back(self, _signum: int, _frame: Any) -> None:
        # Without a server the messages return by themselves, once the lease has ended.
        giving_up = threading.Timer(HAND_BACK_SECONDS, os._exit, (os.EX_OK,))
        giving_up.daemon = True
        giving_up.start()
        # Stopped, what items have started writes nothing beside their next run, and no item fails because it ended.
        stop_descendants(os.getpid())
        try:
            interrupt_runs(CLEAN_UP_SECONDS)
            hand_back_all()
        except Exception as error:
            log.warning("handing messages back failed; they return once the lease has ended: %s", error)
        finally:
            end_descendants(os.getpid())
            # Nothing else ends threads.
            os._exit(os.EX_OK)
