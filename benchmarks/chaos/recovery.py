"""How long the work of a killed worker is away: one kill after another, with the whole fleet at work; a histogram."""

import sys
from collections import Counter

from benchmarks.chaos.count import Count, quantile, tally
from benchmarks.chaos.run import Run

#: The upper ends of the histogram's bars, in seconds.
BARS = (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0, 5.0, 10.0, 20.0, 25.0, 30.0, 60.0, 120.0)
WIDTH = 40


def play(run: Run, kills: int, _tasks: int) -> None:
    """Workers are killed with -9 under load; the next kill waits until the last one's work is back, and a worker.

    The tasks are copies of one message, and workers are forked: so a kill takes little more than its work is away.
    Stock kombu loses some of that work, and brings the rest back after its visibility timeout: nobody waits for it.
    """
    run.put(1)
    run.copies = True
    run.load()
    run.fleet.start(run.options.workers)
    _whole(run)
    while run.goes_on(kills):
        run.kill(run.busy())
        if run.transport == "ours":
            run.until(run.recovered, "what the dead worker held")
        _whole(run)
        run.breathe()
    run.settle()


def _whole(run: Run) -> None:
    """Let the load go on until each worker has run something."""
    for worker in run.fleet.workers:

        def runs(name: str = worker.name) -> bool:
            run.load()
            return bool(run.journal.running(name))

        run.until(runs, "a worker that runs something")


def count(run: Run, count: Count, started_at: float) -> None:
    """Fill in the count, and print the histogram."""
    tally(run, count, started_at)
    # Not into the table on stdout.
    print(f"\n{count.scenario}, {count.pool}, {count.transport}\n{histogram(count.recoveries)}", file=sys.stderr)


def histogram(seconds: list[float]) -> str:
    """The seconds of all recoveries as bars, below their median, 99th percentile and worst."""
    if not seconds:
        return "nothing came back"
    bars = Counter(next((bar for bar in BARS if value <= bar), float("inf")) for value in seconds)
    most = max(bars.values())
    head = (
        f"back after: median {quantile(seconds, 0.5):.2f} s, p99 {quantile(seconds, 0.99):.2f} s, "
        f"worst {max(seconds):.2f} s, of {len(seconds)} kills"
    )
    lines = [f"<= {bar:6.2f} s {bars[bar]:6d} {'#' * round(WIDTH * bars[bar] / most)}" for bar in sorted(bars)]
    return "\n".join([head, *lines])
