"""`python -m benchmarks.restoration`: what it costs a process to look after each item at what the item has changed.

Five rounds; the median, with the smallest and the largest.
"""

import statistics
import time
from collections.abc import Callable

from gristmill.worker.restoration.state import ProcessState

CALLS, ROUNDS = 100_000, 5


def rounds(call: Callable[[], None], calls: int) -> list[float]:
    """Microseconds of CPU of one call in each round, without the loop's own time."""

    def seconds(function: Callable[[], None]) -> float:
        started_at = time.process_time()
        for _ in range(calls):
            function()
        return time.process_time() - started_at

    return [(seconds(call) - seconds(lambda: None)) / calls * 1e6 for _ in range(ROUNDS)]


def main() -> None:
    """Print both costs."""
    state = ProcessState()
    state.begin()
    state.before_items()
    cases = {
        "after an item that took less than a millisecond: directory, umask, variables": (
            lambda: state.after_item(0.0, failed=False),
            CALLS,
        ),
        "after a failed or a longer item, and before a chunk is recorded: everything": (
            state.restore_all,
            CALLS // 100,
        ),
    }
    for what, (call, calls) in cases.items():
        times = rounds(call, calls)
        print(f"{statistics.median(times):8.2f} µs ({min(times):.2f} to {max(times):.2f})  {what}")


if __name__ == "__main__":
    main()
