"""`python -m benchmarks.zoo`: what the hostile items of the zoo cost a fleet: its rate before them and after them.

One fleet with two slots runs batches of short items, then all animals of `tests/acceptance/zoo`, then those batches.
Each pair of batches, one before and one after, gives a ratio of rates.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from benchmarks.options import at_least
from benchmarks.peers.report import median_text
from benchmarks.started import own_fleet
from gristmill import submit
from gristmill.batches.info import ENDED
from gristmill.local.fleet import LocalFleet
from gristmill.producer.batch import Batch
from gristmill.tasks import catalog
from gristmill.tasks.kind import Kind

MODULE = "tests.acceptance.zoo.animals"
SLOTS = 2
#: What the short items compute: about a millisecond each.
NUMBER = 16


def wait(fleet: LocalFleet, batch: Batch) -> float:
    """Wait for a batch while dead processes of the fleet are started again; the seconds that it took."""
    while (info := batch.info()).state not in ENDED:
        fleet.watch()
        time.sleep(0.05)
    assert info.finished
    return info.finished - info.created


def rate(fleet: LocalFleet, items: int) -> float:
    """Short items a second."""
    return items / wait(fleet, submit("fibonacci", [NUMBER] * items))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the rates."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=5)
    parser.add_argument("--items", type=at_least(100), default=5000)
    options = parser.parse_args(arguments)
    with own_fleet(MODULE, {Kind.CPU: SLOTS}, slot_memory="512M") as fleet:
        animals = sorted(sys.modules[catalog.find("animal").__module__].ANIMALS)
        rate(fleet, options.items)
        before = [rate(fleet, options.items) for _ in range(options.rounds)]
        zoo = submit("animal", animals)
        seconds = wait(fleet, zoo)
        rate(fleet, options.items)
        after = [rate(fleet, options.items) for _ in range(options.rounds)]
        info = zoo.info()
    ratios = [late / early for early, late in zip(before, after, strict=True)]
    sys.stdout.write(
        f"{info.submitted} animals in {seconds:.0f} s: {info.succeeded} succeeded, {info.failed} failed, "
        f"{info.dead} dead, {info.left} left\n"
        f"items a second: {statistics.median(before):,.0f} before, {statistics.median(after):,.0f} after; "
        f"{median_text(ratios, 2)}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
