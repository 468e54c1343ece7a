"""Tasks of a batch that write the journal; the workers of the batch scenario load them."""

import time

from benchmarks.chaos.journal import say
from gristmill.tasks.kinds import cpu, io


def _journaled(number: int, seconds: float) -> int:
    say("begun", number)
    time.sleep(seconds)
    say("done", number)
    return number


@cpu
def journaled_cpu(number: int, seconds: float) -> int:
    """Write down that it began and that it is done."""
    return _journaled(number, seconds)


@io
def journaled_io(number: int, seconds: float) -> int:
    """Write down that it began and that it is done."""
    return _journaled(number, seconds)
