"""The bars of batches on a terminal, each on its line."""

import sys
from collections.abc import Sequence

from rich.progress import BarColumn, Progress, TextColumn

from gristmill.batches.info import OPEN, BatchInfo
from gristmill.cli.terminal import stderr


class Bars:
    """A bar for each label."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[words]}"),
            console=stderr,
            transient=False,
            # Results go above the bar where both are on the terminal; rich would send a pipe's there too.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._bars = {label: self._progress.add_task(label, words="", total=None) for label in labels}
        self.start, self.stop = self._progress.start, self._progress.stop

    def show(self, label: str, info: BatchInfo, words: str) -> None:
        """Show the counters of a batch, and some words behind its bar."""
        total = None if info.state in OPEN or info.taking else info.submitted
        self._progress.update(self._bars[label], completed=info.done, total=total, words=words)
