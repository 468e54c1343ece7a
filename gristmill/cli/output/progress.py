"""Progress of batches on stderr: a live bar on a terminal, else one plain line every ten seconds."""

import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gristmill.batches.info import OPEN, BatchInfo, State
from gristmill.cli.console import Quiet, note, on_terminal
from gristmill.config.figures import duration, item_count, printable
from gristmill.fleet.outlook import Outlook
from gristmill.fleet.running_items import RunningItem

if TYPE_CHECKING:
    from gristmill.cli.output.bars import Bars

#: Rates are over this many seconds; plain lines are this many seconds apart.
RATE_SECONDS, LINE_SECONDS = 10.0, 10.0
#: Seconds that the slowest item that runs has run for before a line has it.
SLOW_SECONDS = 5.0


class Pace:
    """Items per second over the last seconds, from counters that only grow."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def rate(self, done: int) -> float:
        """Note the counter now and return items per second; 0 until there are two notes."""
        now = time.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > RATE_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        return (done - before) / (now - then) if now > then else 0.0


class ProgressView:
    """Shows the progress of several batches, each on its line. A context manager."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._paces = {label: Pace() for label in labels}
        self._noted_at = time.monotonic()
        self._bars: Bars | None = None
        if on_terminal(sys.stderr) and not Quiet.on:
            # Elsewhere their module need not be loaded.
            from gristmill.cli.output import bars

            self._bars = bars.Bars(labels)

    def __enter__(self) -> "ProgressView":
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def update(self, infos: Sequence[BatchInfo], outlooks: Mapping[str, Outlook] | None = None) -> None:
        """Show the counters of the batches, in the order of the labels, and what is ahead of them, by name."""
        rates = [self._paces[label].rate(info.done) for label, info in zip(self._labels, infos, strict=True)]
        if not self._bars and time.monotonic() - self._noted_at <= LINE_SECONDS:
            return
        self._noted_at = time.monotonic()
        for label, info, rate in zip(self._labels, infos, rates, strict=True):
            words = describe(info, rate, (outlooks or {}).get(info.name))
            if self._bars:
                self._bars.show(label, info, words)
            else:
                note(f"{label}: {words}")


def describe(info: BatchInfo, rate: float, outlook: Outlook | None = None) -> str:
    """A batch's progress in words: `120 of 300 items, 25.3/s, 7 s left, 0 failed`."""
    outlook = outlook or Outlook()
    total = item_count(info.submitted) + (" so far" if info.state in OPEN or info.taking else "")
    parts = [f"{info.done:,} of {total}", f"{rate:,.1f}/s"]
    seconds = outlook.seconds_left(info, rate)
    if seconds:
        parts.append(f"{duration(seconds)} left")
    if info.held_by:
        parts.append(f"held by {info.hold}")
    parts.append(f"{info.failed + info.dead:,} failed")
    if outlook.running and outlook.running[0].seconds >= SLOW_SECONDS:
        parts.append(slowest(outlook.running[0]))
    if info.reason and info.state is not State.CANCELLED:
        parts.append(f"being cancelled ({info.reason})")
    elif info.state is State.WAITING:
        parts.append(f"waits for {', '.join(info.after)}")
    elif info.state not in (*OPEN, State.RUNNING):
        parts.append(str(info.state))
    if info.abandoned_at is not None:
        parts.append(info.abandonment())
    if info.superseded:
        parts.append(info.supersession())
    return ", ".join(parts)


def slowest(item: RunningItem) -> str:
    """The item that has run for longest, in words: `item 7 runs for 12 s (40 %, epoch 4)`."""
    progress = f" ({printable(str(item.progress))})" if item.progress else ""
    return f"item {item.index} runs for {duration(item.seconds)}{progress}"
