"""`python -m benchmarks.rates`: how exactly a fleet keeps to a rate, and what its slots do meanwhile.

Starts a private server and four workers, and submits a batch of short waits that a rate bounds; with `--limit-by`, the
rate holds for each of four values. Prints the rate at which items ended, second by second and over the whole time, and
how long a batch without limits takes beside it. Exits with 1 when the rate is more than 2 % off.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.options import at_least
from benchmarks.started import QUIET, await_workers, own_fleet, running
from gristmill import submit
from gristmill.config.settings import settings
from gristmill.server.connection import client
from gristmill.tasks.kind import Kind

MODULE = "benchmarks.waiting"
WORKERS, SLOTS, VALUES = 4, 16, 4
#: By how much the rate may be off; seconds until the fleet runs evenly; items of the batch beside it.
TOLERANCE, FIRST_SECONDS, BESIDE = 0.02, 3.0, 64


@contextmanager
def further_workers(number: int) -> Iterator[None]:
    """So many workers beside those of the fleet."""
    words = ["gristmill.worker", str(Kind.IO), "--slots", str(SLOTS)]
    environ = {**os.environ, "GRISTMILL_HOME": str(settings().home)}
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(running(*words, environ=environ, **QUIET))
        await_workers(client(), number + 1)
        yield


def measure(rate: int, seconds: int, limit_by: str | None) -> float:
    """Run a batch at so many items a second, for so many seconds; the rate that it had."""
    whole = rate * (VALUES if limit_by else 1)
    items = [{"group": index % VALUES} for index in range(round(whole * (seconds + 3 * FIRST_SECONDS)))]
    batch = submit("brief", items, rate=f"{rate}/s", limit_by=limit_by)
    time.sleep(FIRST_SECONDS)
    first = before = batch.info().done
    started_at = seen_at = time.monotonic()
    beside = ""
    while time.monotonic() < started_at + seconds:
        time.sleep(max(0.0, seen_at + 1 - time.monotonic()))
        done, now = batch.info().done, time.monotonic()
        print(f"{now - started_at:5.1f} s: {(done - before) / (now - seen_at):6.1f}/s", flush=True)
        before, seen_at = done, now
        if not beside and now > started_at + seconds / 2:
            other = submit("brief", [{"group": 0}] * BESIDE).wait()
            assert other.finished
            beside = f"a batch of {BESIDE} items without limits took {other.finished - other.created:.2f} s beside it"
            before, seen_at = batch.info().done, time.monotonic()
    actual = (batch.info().done - first) / (time.monotonic() - started_at)
    held_by = batch.info().hold
    batch.cancel()
    print(f"{actual:.2f}/s over {seconds} s on {WORKERS} workers, held by {held_by}; {beside}")
    return actual / whole


def main() -> int:
    """Read the command line, and measure; 1 if the rate is off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=at_least(1), default=100, help="items a second (default: 100)")
    parser.add_argument("--seconds", type=at_least(5), default=60, help="how long to measure (default: 60)")
    parser.add_argument("--limit-by", action="store_true", help="the rate holds for each of four values")
    arguments = parser.parse_args()
    with own_fleet(MODULE, {Kind.IO: SLOTS}), further_workers(WORKERS - 1):
        share = measure(arguments.rate, arguments.seconds, "group" if arguments.limit_by else None)
    return 0 if abs(share - 1) <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
