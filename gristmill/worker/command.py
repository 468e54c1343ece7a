"""`python -m gristmill.worker cpu`, `io`, `gpu=4` …: one Celery worker with the pool that suits its queue."""

import argparse
import signal
import socket
import sys
import warnings

from celery.concurrency import get_implementation
from celery.platforms import SecurityWarning

from gristmill.config.settings import settings
from gristmill.errors import GristmillError
from gristmill.local.parent_death import end_with_parent
from gristmill.server.connection import wait_for_server
from gristmill.server.waiting import OWNER, START
from gristmill.tasks import catalog
from gristmill.tasks.application import app
from gristmill.tasks.queue_worker import QueueWorker, slots_of
from gristmill.worker.pool.size import pool_size
from gristmill.worker.pool.slot_tuner import SlotTuner

#: Seconds between the events by which Flower's own pages know that a worker lives; it is offline after two are missed.
EVENT_SECONDS = 5.0


def main() -> int:
    """Run a worker until somebody stops it; return the exit code, as of the command line."""
    parser = argparse.ArgumentParser(prog="python -m gristmill.worker", description=__doc__)
    parser.add_argument("worker", metavar="QUEUE[:KIND][=SLOTS]", help="the queue to take work from, such as cpu")
    parser.add_argument(
        "--slots", type=int, default=0, help="number of processes or threads (default: from the settings)"
    )
    parser.add_argument("--tune", action="store_true", help="begin with these threads, and have as many as are of use")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when standard input closes")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        end_with_parent(signal.SIGQUIT)
    # Celery warns the superuser of pickle, which no worker of ours accepts.
    warnings.simplefilter("ignore", SecurityWarning)
    try:
        # Before Celery, which would put the current directory first on the path: see `load`.
        catalog.load()
        queue, kind, number = QueueWorker.of(arguments.worker)
        number = arguments.slots or number or slots_of(kind)
        if arguments.tune:
            pool_size.tuner = SlotTuner()
        wait_for_server(OWNER if arguments.end_with_parent else START)
        # Celery's own command line would load all of its commands first, a shell among them.
        worker = app.Worker(
            hostname=f"{queue}@{socket.gethostname()}",
            queues=[queue],
            pool_cls=get_implementation(kind.pool),
            concurrency=number,
            loglevel=settings().log_level.upper(),
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            heartbeat_interval=EVENT_SECONDS,
        )
        worker.start()
    except GristmillError as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return int(worker.exitcode or 0)
