"""Follows a batch to its end: results on stdout as they come, the bar on stderr."""

import time
from typing import TYPE_CHECKING

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.cli.console import note, warn
from gristmill.cli.output.item_lines import ItemLines
from gristmill.cli.output.outlook_watch import OutlookWatch
from gristmill.cli.output.progress import ProgressView
from gristmill.cli.output.result_lines import ResultWriter
from gristmill.cli.start_advice import warn_without_worker
from gristmill.config.figures import count, item_count
from gristmill.fleet.setup_failures import setup_failures
from gristmill.producer.backpressure import Full
from gristmill.producer.batch import Batch
from gristmill.producer.worker_checks import live_workers
from gristmill.server.waiting import NEVER, Deadline

if TYPE_CHECKING:
    # Only for types: commands that only read need not load what submits.
    from gristmill.local.fleet import LocalFleet
    from gristmill.producer.feeding import Feeding
    from gristmill.producer.submission import Submission

#: Seconds after which a batch that no worker listens for is worth a warning: workers may be starting.
WARN_SECONDS = 3.0
#: Seconds between two looks whether the setup of the batch's task fails.
SETUP_SECONDS = 5.0


class WorkerWatch:
    """Warns once when a batch waits and no worker listens to its queue."""

    def __init__(self) -> None:
        self._at: float | None = time.monotonic() + WARN_SECONDS

    def look(self, info: BatchInfo) -> None:
        """Check whether to warn; cheap until WARN_SECONDS have passed."""
        if self._at is not None and info.left and time.monotonic() > self._at:
            self._at = None
            warn_without_worker(info.queue, info.kind)


class SetupWatch:
    """Warns once of each error of the setup of a batch's task on workers: its items wait, and none of them fails."""

    def __init__(self) -> None:
        self._at = time.monotonic() + WARN_SECONDS
        self._errors: set[str] = set()

    def look(self, info: BatchInfo) -> None:
        """Check whether to warn; asks the server once in SETUP_SECONDS."""
        if not info.left or time.monotonic() < self._at:
            return
        self._at = time.monotonic() + SETUP_SECONDS
        for failure in setup_failures(live_workers()):
            if failure.task == info.task and failure.error not in self._errors:
                self._errors.add(failure.error)
                warn(str(failure))


def follow(
    batch: Batch,
    writer: ResultWriter | None,
    *,
    in_order: bool = False,
    consume: bool = False,
    deadline: Deadline = NEVER,
    fleet: "LocalFleet | None" = None,
    feeding: "Feeding | None" = None,
    lines: ItemLines | None = None,
) -> BatchInfo:
    """Follow a batch to its end.

    The writer, if any, writes results as they come; with `consume` the server then removes them. `fleet` runs for
    the duration of this command, which starts its dead processes again. `feeding` submits the batch meanwhile.
    `lines` prints what its items write.

    Raises:
        TimeoutError: the batch has not ended at the deadline.
        KeyboardInterrupt: after a note that says how to follow the batch again.
        Exception: `feeding` raised it.
    """
    needs_values = writer is not None and writer.needs_values
    workers, setups, outlooks = WorkerWatch(), SetupWatch(), OutlookWatch()
    look = lines.look if lines else lambda: None
    try:
        with ProgressView([batch.name]) as view:
            for info, results in batch.lots(in_order=in_order, consume=consume, deadline=deadline, values=needs_values):
                if writer:
                    writer.write_all(results, durably=consume)
                view.update([info], outlooks.look(info))
                look()
                if fleet:
                    fleet.watch()
                else:
                    workers.look(info)
                setups.look(info)
                if feeding:
                    feeding.check()
    except KeyboardInterrupt:
        if all_stored(feeding):
            name = batch.name
            note(_interrupted(name) if fleet else f"batch {name} goes on; follow it with: gristmill watch {name}")
        raise
    except Full:
        raise
    except TimeoutError:
        late = f"batch {batch.name!r} has not ended after {deadline.seconds:g} s"
        if all_stored(feeding):
            # Without its fleet the batch does not go on by itself.
            late += f"; {_interrupted(batch.name)}" if fleet else "; it goes on"
        raise TimeoutError(late) from None
    note(summary(info))
    return info


def all_stored(feeding: "Feeding | None") -> bool:
    """Whether the server has all items of the batch."""
    return feeding is None or feeding.submission.complete


def _interrupted(name: str) -> str:
    return f"batch {name} is kept: the same command with --name {name} goes on"


def summary(info: BatchInfo) -> str:
    """How a batch ended, in a line."""
    parts = [f"{info.succeeded:,} succeeded", f"{info.failed:,} failed"]
    parts += [f"{number:,} {word}" for word in ("dead", "cancelled") if (number := getattr(info, word))]
    parts += [count(info.duplicates, "duplicate")] if info.duplicates else []
    parts += [f"{number:,} {word}" for word in ("rejected", "consumed") if (number := getattr(info, word))]
    seconds = f" in {info.finished - info.created:,.1f} s" if info.finished else ""
    reason = f" ({info.reason})" if info.reason else ""
    parts += [info.lost_logs()] if info.logs_lost else []
    return f"batch {info.name}: {info.state}{reason}{seconds}: {item_count(info.submitted)}, {', '.join(parts)}"


def say_if_repeated(submission: "Submission", info: BatchInfo) -> None:
    """Say so when an earlier command had submitted all items."""
    if submission.anything_new or not submission.complete:
        return
    if info.state in ENDED:
        note(f"nothing new: batch {info.name} has {item_count(info.submitted)} already, and has ended")
    else:
        note(f"going on: batch {info.name} has {item_count(info.submitted)} already, {info.left:,} left")


def warn_of_consumed(info: BatchInfo) -> None:
    """Warn when the server does not have all results of the batch any more."""
    if info.consumed:
        warn(f"another command consumed {info.consumed:,} results of batch {info.name}: these are the others")
