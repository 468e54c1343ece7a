"""`python -m benchmarks.workflows`: what links between batches cost, side by side in one run.

`pair` runs a batch of no-ops, and a workflow of two such batches, the values of the one being the items of the other.
`chord` runs Celery's chord, on `redis://` and on our transport, and a batch with a task that reads it at its end; a
chord that takes longer than `--limit` is ended and not run again. Celery puts the messages of a chord one by one, and
each waits until the server has it on its disk: `until its messages were put` says how long that took.
`live` measures what the server spends on an item, and in a second without work, beside many workflows that stand.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from statistics import median

from benchmarks.ab.interval import FEWEST, paired
from benchmarks.options import at_least
from benchmarks.scale import live
from benchmarks.scale.__main__ import table
from benchmarks.started import QUIET, own_fleet, running, server_of_settings
from gristmill import Batch, open_batch, submit
from gristmill.broker.address import from_redis
from gristmill.config.settings import settings
from gristmill.local.fleet import LocalFleet
from gristmill.server.home import Home
from gristmill.tasks.kind import Kind

SLOTS, SIZES = 2, (20, 1_000, 10_000)
#: The least that the rate through two linked batches may be of the rate through one.
GOAL = 0.45
MODULES = "benchmarks.noops"


@contextmanager
def fleet() -> Iterator[LocalFleet]:
    """A server of its own, and a worker with processes."""
    with own_fleet(MODULES, {Kind.CPU: SLOTS}) as fleet:
        submit("same", range(1000)).wait()
        yield fleet


def seconds(*batches: Batch) -> float:
    """From when the first batch was made to the end of the last one; deletes them, so that no round stores more."""
    end, start = batches[-1].wait().finished, batches[0].info().created
    assert end is not None
    for batch in reversed(batches):
        batch.delete()
    return end - start


def _one(items: int) -> float:
    return seconds(submit("same", range(items)))


def _two(items: int) -> float:
    first = submit("same", range(items))
    second = submit("same", first)
    assert second.wait().succeeded == items
    return seconds(first, second)


def _read(items: int) -> float:
    first = submit("same", range(items))
    last = submit("total", [first], after=first)
    assert list(last.values()) == [sum(range(items))]
    return seconds(first, last)


def by_turns(ways: dict[str, Callable[[int], float]], items: int, rounds: int) -> dict[str, list[float]]:
    """The seconds of each way, round by round; every other round goes backwards."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            times[name].append(ways[name](items))
            print(f"{name}: {_text(times[name][-1])}, load {os.getloadavg()[0]:.1f}", flush=True)
    return times


def _text(seconds: float) -> str:
    return "no figure" if seconds == inf else f"{seconds:.2f} s"


def pair(items: int, rounds: int) -> None:
    """A batch, and a workflow of two: their rates, and the ratio within rounds, with its interval if they tell one."""
    with fleet():
        ones, twos = by_turns({"one batch": _one, "a workflow of two": _two}, items, rounds).values()
    ratios = [one / two for one, two in zip(ones, twos, strict=True)]
    ratio = f"{median(ratios):.2f} of one"
    if rounds >= FEWEST:
        measured = paired(ratios)
        ratio = f"{measured.estimate:.2f} of one ({measured.low:.2f} to {measured.high:.2f}; goal {GOAL})"
    print(f"{items:,} items: {items / median(ones):,.0f}/s, and {items / median(twos):,.0f}/s through both: {ratio}")


def _chord(broker: str, results: str, limit: int) -> Callable[[int], float]:
    """A way to run a chord, with a worker that is started for it and ends then; it takes `limit` seconds at most."""
    environ = {**os.environ, "BENCH_BROKER": broker, "BENCH_RESULTS": results}
    given_up: list[str] = []

    def run(items: int) -> float:
        if given_up:
            # Its messages are still on the queue.
            return inf
        options = ["-A", "benchmarks.chords", "worker", "-c", str(SLOTS), "-l", "error", "-Q", "chords"]
        command = [sys.executable, "-m", "benchmarks.chords", str(items)]
        try:
            with running("celery", *options, environ=environ, **QUIET):
                done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=limit)
        except subprocess.TimeoutExpired:
            given_up.append(f"not within {limit} s")
        except subprocess.CalledProcessError as error:
            given_up.append((error.stderr.strip().splitlines() or [f"ended with {error.returncode}"])[-1])
        if given_up:
            # That is the finding; the others are measured all the same.
            print(*given_up, flush=True)
            return inf
        answer, elapsed, put = done.stdout.split()
        assert int(answer) == sum(range(items))
        print(f"{float(put):.2f} s until its messages were put; ", end="")
        return float(elapsed)

    return run


def chord(items: int, rounds: int, limit: int) -> None:
    """Celery's chord, and a task that reads a batch."""
    with fleet():
        running = Home(settings().home).running()
        assert running is not None
        url = running.url
        ways = {
            "a chord on redis://": _chord(url, url, limit),
            "a chord on our transport": _chord(from_redis(url), url, limit),
            "a task that reads a batch": _read,
        }
        for name, each in by_turns(ways, items, rounds).items():
            print(f"{items:,} items, {name}: {_text(median(each))}")


def _stand(name: str) -> None:
    """A workflow of two batches: the second one takes the values of the first, or waits for its end."""
    live.stand(f"{name}.first")
    first = f"{name}.first"
    if int(name.rpartition("-")[2]) % 2:
        submit("noop", range(live.ITEMS), name=f"{name}.second", after=first)
    else:
        submit("noop", open_batch(first), name=f"{name}.second")


def standing(sizes: Sequence[int]) -> None:
    """Workflows that stand."""
    with server_of_settings(MODULES):
        print(table(list(live.measure(sizes, 200, 30, _stand))))


def main() -> int:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["pair", "chord", "live"])
    parser.add_argument("--items", type=at_least(1), help="of a batch (default: 1,000,000; chord: 10,000)")
    parser.add_argument(
        "--rounds", type=at_least(1), default=3, help=f"of pair and chord (default: 3; an interval takes {FEWEST})"
    )
    parser.add_argument("--limit", type=at_least(1), default=600, help="seconds of a chord at most (default: 600)")
    parser.add_argument("--sizes", type=at_least(1), nargs="+", default=SIZES, help="of live")
    arguments = parser.parse_args()
    if arguments.part == "live":
        standing(arguments.sizes)
    elif arguments.part == "pair":
        pair(arguments.items or 1_000_000, arguments.rounds)
    else:
        chord(arguments.items or 10_000, arguments.rounds, arguments.limit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
