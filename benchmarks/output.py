"""`python -m benchmarks.output`: what capture costs an item that writes nothing, and one that prints a line."""

import os
import sys
import timeit

from gristmill.worker.output import capture

#: Items in a round, and rounds of which the fastest counts.
ITEMS, ROUNDS = 20_000, 7


def silent() -> None:
    """An item that writes nothing."""
    taker = capture.current()
    taker.begin("b", 0, True)
    taker.end(False)


def printing() -> None:
    """An item that prints a line."""
    taker = capture.current()
    taker.begin("b", 0, True)
    sys.stdout.write("line\n")
    taker.end(False)


def measure(label: str, out: int) -> None:
    """Print the times of both items."""
    for item in (silent, printing):
        if item is printing and label == "off":
            continue
        seconds = min(timeit.repeat(item, number=ITEMS, repeat=ROUNDS)) / ITEMS
        os.write(out, f"{label:8} {item.__name__:9} {seconds * 1e6:6.2f} µs\n".encode())


def main() -> None:
    """Measure with capture off, in threads, and in a process."""
    out = os.dup(1)
    measure("off", out)
    stdout, stderr = sys.stdout, sys.stderr
    capture.capture_threads()
    measure("thread", out)
    sys.stdout, sys.stderr = stdout, stderr
    capture.capture_process()
    measure("process", out)


if __name__ == "__main__":
    main()
