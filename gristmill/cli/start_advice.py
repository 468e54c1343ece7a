"""Advice for a person whose items wait for a worker: the command that gets them run."""

from gristmill.batches.info import BatchInfo
from gristmill.cli.console import note, warn
from gristmill.config.names import DASHBOARD, KINDS, worker_word
from gristmill.config.settings import settings
from gristmill.fleet.registry import LiveWorker
from gristmill.producer.worker_checks import check_code, live_workers, no_worker, to_run
from gristmill.server.connection import client
from gristmill.server.home import Holder, Home
from gristmill.server.scripts import server_time


def warn_without_worker(queue: str, kind: str) -> bool:
    """Warn when no live worker takes from a queue with tasks of a kind, and say what gets one; whether it warned."""
    workers = [worker for worker in live_workers() if worker.queue == queue]
    if any(not worker.draining for worker in workers):
        return False
    if workers:
        return _warn_of_drained(workers)
    warn(_beside(queue, kind, Home(settings().home).holder()) or no_worker(queue, kind))
    return True


def _warn_of_drained(workers: list[LiveWorker]) -> bool:
    """Warn that all workers of a queue drain, unless an autoscale acts: it gives them slots again."""
    # Imported here, because workers seldom drain.
    from gristmill.fleet.autoscale_seat import autoscale_now

    now = server_time(client(), settings().prefix)
    if autoscale_now(settings(), now).answer(client()):
        return False
    names = " ".join(worker.name for worker in workers)
    warn(f"all workers of queue {workers[0].queue} drain: the items wait. `gristmill undrain {names}` takes them back")
    return True


def _beside(queue: str, kind: str, holder: Holder | None) -> str | None:
    """The warning beside a command that owns the home, which refuses a second `gristmill up`; None beside others."""
    waits, word = f"no worker listens to queue {queue}: the items wait", worker_word(queue, kind)
    match holder and holder.kind:
        case "gristmill run":
            return f"{waits} for {holder} to end"
        case "gristmill up":
            others = "" if queue in KINDS else f" {' '.join(KINDS)} {DASHBOARD} {word}"
            return f"{waits}. Stop {holder}, and start it with {queue} too: `gristmill up{others}`"
        case "python -m gristmill.server":
            return f"{waits}. Start a worker with `python -m gristmill.worker {word}`"
    return None


def say_how_to_follow(info: BatchInfo, *, fleet: bool) -> None:
    """Say what follows a batch; without a `fleet` here, what gets its items run."""
    if fleet:
        note(f"follow them with: gristmill watch {info.name}")
    else:
        note(
            f"no fleet is running: they run with the next `gristmill up`; then gristmill watch {info.name} follows them"
        )


def warn_of_workers(info: BatchInfo, *, fleet: bool) -> None:
    """Warn as `gristmill submit` does of workers that lack the task of a batch, or run another version of it.

    Raises:
        InputError: workers live, and none of those on the queue knows the task.
    """
    if not fleet or not to_run(info) or warn_without_worker(info.queue, info.kind):
        return
    for warning in check_code(info):
        warn(warning)
