"""Workers that stand still for a while, and go on: what they hold is theirs until their lease has ended."""

import os
import signal
import threading
import time
from collections.abc import Callable

from benchmarks.chaos.fleet import Worker
from benchmarks.chaos.run import Run
from benchmarks.chaos.standstill import BLOCK, SEIZE, STALL_SECONDS

#: How long a stall lasts that must cost nothing, and one after which others have the work, in leases. A lease was last
#: renewed up to a quarter of it before, and where many processes run, the first renewal after a stall is late.
SHORT_LEASES, LONG_LEASES = (0.2, 0.5), 1.5

#: Makes a worker stand still, and has it go on after so many seconds.
Stall = Callable[[Worker, float], None]


def block(worker: Worker, _seconds: float) -> None:
    """Its event loop stands still; its other threads and its pool's processes go on."""
    os.kill(worker.pid, BLOCK)


def seize(worker: Worker, _seconds: float) -> None:
    """C code holds the GIL of its main process; the pool's processes go on."""
    os.kill(worker.pid, SEIZE)


def stop(worker: Worker, seconds: float) -> None:
    """All its processes are stopped, as those of a suspended host are.

    Another thread lets them go on: whoever puts the load waits for the producer, which can take longer than a lease.
    """
    worker.signal(signal.SIGSTOP)
    timer = threading.Timer(seconds, worker.signal, (signal.SIGCONT,))
    timer.daemon = True
    timer.start()


def short(run: Run, kills: int, _tasks: int, stall: Stall) -> None:
    """Workers stand still for less than a lease: each keeps what it has, and nothing runs twice."""
    _begin(run, run.luck.uniform(*SHORT_LEASES) * run.options.lease)
    while run.goes_on(kills):
        worker, at = run.busy(), time.monotonic()
        stall(worker, run.stall_seconds)
        goes_on_at = time.time() + run.stall_seconds
        run.shake(at, run.wire.tasks_in_hand(worker.pid))
        run.under_load(run.stall_seconds)
        run.until(run.recovered, "what a worker held that stood still")
        # Two stalls without a sign of life between them are one long stall.
        run.until(lambda: run.wire.heard_at(worker.pid) > goes_on_at, "a sign of life")  # noqa: B023
        run.breathe()
    run.settle()


def long(run: Run, kills: int, _tasks: int, stall: Stall) -> None:
    """Workers stand still for longer than their lease, then go on with what others have by then."""
    _begin(run, LONG_LEASES * run.options.lease)
    while run.goes_on(kills):
        worker, at = run.busy(), time.monotonic()
        stall(worker, run.stall_seconds)
        run.journal.read()
        run.hurt(at, run.journal.running(worker.name) | run.wire.tasks_in_hand(worker.pid), worker.name)
        run.under_load(run.stall_seconds)
        run.until(run.recovered, "what a worker held that stood still")
        run.breathe()
    run.settle()


def _begin(run: Run, seconds: float) -> None:
    run.stall_seconds = seconds
    run.workers(environ={STALL_SECONDS: str(seconds)})
    run.fleet.start(run.options.workers)
