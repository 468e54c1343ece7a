"""`python -m benchmarks.confirmation`: what confirmation by replicas costs batches.

The same primary, two replicas and worker run the same batches with confirmation off and on, by turns: first with
replicas that flush each write to disk, then with replicas that flush once a second.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.chaos.failover import environ
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.group import SERVERS, ServerGroup
from benchmarks.options import at_least
from benchmarks.peers.report import median_text
from benchmarks.polling import until
from gristmill import submit
from gristmill.config.settings import use
from gristmill.producer.worker_checks import live_workers

FSYNCS = ("always", "everysec")


def _seconds(items: int, replicas: int) -> float:
    """Seconds from the first item that is submitted to the last result that is read, confirmed by `replicas`."""
    use({"confirm_replicas": str(replicas)})
    started_at = time.monotonic()
    batch = submit("pause", [0] * items)
    number = sum(1 for _ in batch.results())
    seconds = time.monotonic() - started_at
    if number != items:
        raise RuntimeError(f"{number} results of {items} items")
    batch.delete()
    return seconds


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confirmation", description=__doc__)
    parser.add_argument("--items", type=at_least(1), default=50_000, metavar="N", help="of each batch")
    parser.add_argument("--rounds", type=at_least(2), default=5, metavar="N")
    arguments = parser.parse_args()
    logging.getLogger("gristmill").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="confirmation-") as name, ServerGroup(Path(name)) as group:
        names = {"redis_url": group.url, "home": str(Path(name) / "home")}
        use(dict(names))
        command = [sys.executable, "-m", "gristmill.worker", "io"]
        with Fleet(lambda _: command, environ(names), Path(name)) as fleet:
            fleet.start(1)
            until(live_workers, 60, "the worker")
            _seconds(arguments.items, 0)
            sys.stdout.write(
                "| replicas' appendfsync | off, items/s | on, items/s | on / off, median (least to most) |\n"
            )
            sys.stdout.write("| --- | --- | --- | --- |\n")
            for fsync in FSYNCS:
                sys.stdout.write(_row(group, fsync, arguments.items, arguments.rounds) + "\n")
    return 0


def _row(group: ServerGroup, fsync: str, items: int, rounds: int) -> str:
    for port in group.ports:
        if port != group.primary().port:
            group.ask(port, "CONFIG", "SET", "appendfsync", fsync)
    off, on = [], []
    for _ in range(rounds):
        off.append(items / _seconds(items, 0))
        on.append(items / _seconds(items, SERVERS - 1))
    ratios = median_text([with_it / without for with_it, without in zip(on, off, strict=True)], 2)
    return f"| {fsync} | {statistics.median(off):,.0f} | {statistics.median(on):,.0f} | {ratios} |"


if __name__ == "__main__":
    sys.exit(main())
