"""The Celery task that runs a chunk of a batch."""

import logging
import os
import signal
import threading
import time
from functools import cache
from typing import Any

from celery.exceptions import Reject
from celery.signals import setup_logging
from redis.exceptions import RedisError

from gristmill.batches.chunk import Chunk
from gristmill.batches.ledger import Ledger
from gristmill.broker.qos import SUSPECT
from gristmill.config.settings import settings
from gristmill.errors import GristmillError
from gristmill.fleet.worker_id import worker_id
from gristmill.server.connection import client
from gristmill.server.scripts import Scripts
from gristmill.tasks.application import app
from gristmill.tasks.setup import SetupFailed
from gristmill.worker import logs
from gristmill.worker.celery_internals import is_draining
from gristmill.worker.programs.journal import run_journal
from gristmill.worker.rare_log import RareLog
from gristmill.worker.restoration.state import process_state
from gristmill.worker.slot.quarantine import QuarantineUnavailable
from gristmill.worker.slot.runner import Runner
from gristmill.worker.slot.trace import RunLater

#: The version of chunk messages that this worker reads.
MESSAGE_VERSION = 2
#: Seconds after which a message that this worker cannot run goes back to its queue.
HAND_BACK_SECONDS = 1.0

rare_log = RareLog(logging.getLogger(__name__))
#: Held for ever by the slot that has this worker drain: a second signal would end what the other slots run.
_drains = threading.Lock()
# Ours replaces Celery's logging in a process that runs chunks.
setup_logging.connect(logs.set_up, weak=False)


@cache
def _runner() -> Runner:
    return Runner(Ledger(client(), settings()), settings())


def prepare() -> None:
    """Load what a chunk's run needs, and use it once: forked pool processes share the memory of what is loaded.

    Raises:
        RedisError, GristmillError: the worker cannot reach the server, or cannot read the batches on it.
    """
    ledger = _runner().ledger
    ledger.check_schema()
    scripts = Scripts(ledger.client, settings().prefix, "batches")
    for name in ("take", "record"):
        scripts.load(name)
    # Each process opens connections of its own.
    ledger.client.connection_pool.disconnect()


@app.task(
    bind=True,
    name="gristmill.chunk",
    ignore_result=True,
    acks_late=True,
    reject_on_worker_lost=True,
    quarantines_items=True,
    Strategy="gristmill.worker.versions:strategy",
)
def run_chunk(self: Any, _version: int, *fields: Any) -> None:
    """Run a chunk and record it; Celery acknowledges the message after that. `hand_out` in cut_chunks.lua builds it.

    `gristmill.worker.versions` has checked the message before the pool gets it.

    Raises:
        Reject: the server is not available, or the worker ends; the message goes back to its queue.
        RunLater: the setup of a suspect fails, or no child process starts.
    """
    chunk, worker = Chunk(*fields[:4]), worker_id(self.request.hostname)
    is_suspect = (self.request.get("gm_returns") or 0) >= SUSPECT
    try:
        with run_journal().of(chunk):
            try:
                _runner().run(chunk, worker, is_suspect)
            except (RedisError, GristmillError):
                raise
            except Exception:
                # An item has broken its process in a way that the restoration does not know.
                text = "items of batch %s run again, each in a process of its own"
                rare_log.exception(chunk.batch, text, chunk.batch)
                if is_suspect:
                    time.sleep(HAND_BACK_SECONDS)
                process_state.leave()
                try:
                    _runner().run(chunk, worker, suspect=True)
                finally:
                    _drain(chunk.batch)
    except (SetupFailed, QuarantineUnavailable) as error:
        # What comes back is taken before all that is new: others would get no slot.
        raise RunLater(str(error)) from error
    except (RedisError, GristmillError) as error:
        time.sleep(HAND_BACK_SECONDS)
        # As text: the worker would end over an error that it cannot read from its process.
        raise Reject(str(error), requeue=True) from error


def _drain(batch: str) -> None:
    """Have this worker end in order: all its slots share the process that an item of the batch has broken."""
    if not is_draining() and _drains.acquire(blocking=False):
        rare_log.error(
            "drain", "an item of batch %s has broken this worker, which drains, for another to replace it", batch
        )
        os.kill(os.getpid(), signal.SIGTERM)
