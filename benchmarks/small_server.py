"""`python -m benchmarks.small_server`: a batch that its server has no room for, whose results are consumed.

A range of numbers is submitted, run and followed with `--consume`, all at once. When half of the items are done, the
producer, the follower, a worker and the server are killed with -9; then each is started again as it was. Every result
that is printed is counted.
"""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from benchmarks import page
from benchmarks.measured_command import MB, MeasuredCommand
from benchmarks.options import at_least
from benchmarks.server_load import script_name
from benchmarks.started import Started, workers_of_noops
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load

NAME, WORKERS, LOOK = "many", 2, 0.2
#: A script that takes as long as this, in ms, holds up every other client.
LONG = 20.0
#: Bytes of results to read at a time, and the place of its index in each.
READ_BYTES, PLACE = 1 << 18, len(b'{"index":')
#: Parts of a batch, whose rates are compared.
PARTS = 10
#: The most entries of the slow log, and the µs from which a call is noted.
ENTRIES, NOTED = 100_000, 2_000


@dataclass(slots=True)
class Figures:
    """One batch. Memory is in MB at its largest; `left` is what the server keeps of an item at the end, in bytes.

    `parts` has the items per second of each tenth of the batch. `longest` is the longest call of a script, in ms, and
    `long` counts, by script, those that took LONG. `again` counts results that were printed once more, `lost` those
    that never were.
    """

    items: int
    memory: str
    seconds: float = 0.0
    parts: list[float] = field(default_factory=list)
    kills: int = 0
    producer: float = 0.0
    follower: float = 0.0
    server: float = 0.0
    left: float = 0.0
    longest: float = 0.0
    longest_name: str = "none"
    long: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    again: int = 0
    lost: int = 0


class Printed:
    """Counts the results that followers print, each by its index."""

    def __init__(self, items: int) -> None:
        self._marks = bytearray(items)
        self.again = 0
        self._readers: list[threading.Thread] = []

    def read(self, output: Any) -> None:
        """Read what a follower prints, in a thread of its own."""
        self._readers.append(threading.Thread(target=self._read, args=(output,), daemon=True))
        self._readers[-1].start()

    def _read(self, output: Any) -> None:
        # Lots of lines at once: this process has the same cores as what it measures.
        while lines := output.readlines(READ_BYTES):
            # A killed follower leaves a torn line.
            if not lines[-1].endswith(b"}\n"):
                lines.pop()
            self.count([int(line[PLACE : line.index(b",")]) for line in lines])

    def count(self, indexes: list[int]) -> None:
        """Count results by their indexes."""
        marks = self._marks
        first, after = (indexes[0], indexes[-1] + 1) if indexes else (0, 0)
        if after - first == len(indexes) and indexes == list(range(first, after)):
            self.again += marks.count(1, first, after)
            marks[first:after] = b"\1" * len(indexes)
            return
        for index in indexes:
            self.again += marks[index]
            marks[index] = 1

    def lost(self) -> int:
        """How many were not printed, when all followers have ended."""
        for reader in self._readers:
            reader.join()
        return self._marks.count(0)


class Trials:
    """A server of little memory and two workers of one slot each."""

    def __init__(self, started: Started, memory: str) -> None:
        self._server, self._client, self._fleet, self._environ, _ = started
        self._memory = memory
        self._ledger = Ledger(self._client, load({}))

    def run(self, items: int, *, kills: bool) -> Figures:
        """Submit, run and follow one batch.

        Raises:
            CalledProcessError: a command failed.
        """
        figures, printed = Figures(items, self._memory), Printed(items)
        self._note_slow_calls()
        started_at = time.time()
        submit, follow = self._submit(items), None
        # When how many were done: a look for each tenth.
        looks = [(started_at, 0)]
        while True:
            submitting = submit.running()
            info = self._info()
            if follow is None and info is not None:
                follow = self._follow(printed)
            following = follow is None or follow.running()
            figures.producer, figures.server = max(figures.producer, submit.memory), max(figures.server, self._used())
            figures.follower = max(figures.follower, follow.memory if follow else 0.0)
            if info and info.done >= looks[-1][1] + items // PARTS:
                looks.append((info.finished or time.time(), info.done))
                print(f"{info.done:,} done, {self._used():,.0f} MB", file=sys.stderr, flush=True)
            if kills and not figures.kills and follow and looks[-1][1] >= items // 2:
                self._collect_slow_calls(figures)
                figures.kills = self._kill(submit, follow)
                submit, follow = self._submit(items), self._follow(printed)
                self._note_slow_calls()
                continue
            if not submitting and not following:
                break
            time.sleep(LOOK)
        info = cast(BatchInfo, self._info())
        figures.lost, figures.again = printed.lost() + items - info.succeeded, printed.again
        figures.seconds, figures.duplicates = (info.finished or time.time()) - started_at, info.duplicates
        figures.parts = rates([*looks, (info.finished or time.time(), info.done)], items // PARTS)
        figures.left = self._batch_bytes() / items
        self._collect_slow_calls(figures)
        self._ledger.delete(NAME)
        return figures

    def _submit(self, items: int) -> MeasuredCommand:
        return MeasuredCommand(["submit", "noop", "--name", NAME, "--quiet", ":::", f"0..{items - 1}"], self._environ)

    def _follow(self, printed: Printed) -> MeasuredCommand:
        follow = MeasuredCommand(["results", NAME, "--follow", "--consume", "--json", "--quiet"], self._environ)
        printed.read(follow.output)
        return follow

    def _kill(self, submit: MeasuredCommand, follow: MeasuredCommand) -> int:
        """Kill one of each kind, and start the server and a worker again; how many were killed."""
        submit.kill()
        follow.kill()
        victim = self._fleet.workers[0]
        victim.kill()
        if self._server.pid:
            os.kill(self._server.pid, signal.SIGKILL)
        self._server.restart()
        self._fleet.replace(victim)
        return 4

    def _used(self) -> float:
        return float(self._client.info("memory")["used_memory"]) / MB

    def _batch_bytes(self) -> int:
        """Bytes of the batch's keys."""
        return sum(self._client.memory_usage(name) or 0 for name in self._client.scan_iter(f"*batch:{NAME}:*"))

    def _info(self) -> BatchInfo | None:
        state = self._ledger.state(NAME)
        return BatchInfo.from_fields(NAME, state) if state else None

    def _note_slow_calls(self) -> None:
        self._client.config_set("slowlog-max-len", ENTRIES)
        self._client.config_set("slowlog-log-slower-than", NOTED)
        self._client.slowlog_reset()

    def _collect_slow_calls(self, figures: Figures) -> None:
        for entry in cast(list[dict[str, Any]], self._client.slowlog_get(ENTRIES)):
            name, ms = script_name(entry["command"]), entry["duration"] / 1000
            if name and ms >= LONG:
                figures.long[name] = figures.long.get(name, 0) + 1
            if name:
                figures.longest, figures.longest_name = max((figures.longest, figures.longest_name), (ms, name))


@contextmanager
def bench(memory: str) -> Iterator[Trials]:
    """A server with so much memory, and workers that beat."""
    with workers_of_noops(WORKERS, load({"GRISTMILL_SERVER_MEMORY": memory})) as started:
        yield Trials(started, memory)


def rates(looks: Sequence[tuple[float, int]], least: int) -> list[float]:
    """Items per second between looks, each when and how many were done; the last `least` items end with the batch."""
    *earlier, (ended_at, done) = looks
    while len(earlier) > 1 and done - earlier[-1][1] < least:
        earlier.pop()
    return [(after - before) / (then - at) for (at, before), (then, after) in pairwise([*earlier, (ended_at, done)])]


def _calls(of: dict[str, int]) -> str:
    """How many calls, and of which scripts."""
    each = ", ".join(f"{name} {times}" for name, times in sorted(of.items(), key=lambda one: -one[1]))
    return f"{sum(of.values())}" + (f" ({each})" if each else "")


def table(rows: Sequence[Figures]) -> str:
    """The batches, a line each."""
    head = ["items", "server", "seconds", "items/s", "slowest tenth, items/s", "producer, MB", "follower, MB"]
    head += ["server, MB", "left of an item, bytes", "longest script, ms", f"of {LONG:g} ms or longer"]
    head += ["kills", "run twice", "printed again", "lost"]
    lines = [
        [f"{each.items:,}", each.memory, f"{each.seconds:,.1f}", f"{each.items / each.seconds:,.0f}"]
        + [f"{value:,.0f}" for value in (min(each.parts), each.producer, each.follower, each.server)]
        + [f"{each.left:.2f}", f"{each.longest:.1f} ({each.longest_name})", _calls(each.long)]
        + [str(each.kills), f"{each.duplicates:,}", f"{each.again:,}", str(each.lost)]
        for each in rows
    ]
    return page.table(head, lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.small_server", description=__doc__)
    parser.add_argument("--items", type=at_least(PARTS), nargs="+", default=[10_000_000], help="default: 10,000,000")
    parser.add_argument("--memory", default="128M", metavar="SIZE", help="the server's (default: 128M)")
    parser.add_argument("--no-kills", action="store_true", help="kill nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found into FILE")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the batches, and print what was found; exit code 1: something was lost."""
    options = parser().parse_args(arguments)
    rows = []
    for items in options.items:
        with bench(options.memory) as one:
            rows.append(one.run(items, kills=not options.no_kills))
            print(rows[-1], file=sys.stderr, flush=True)
    words = " ".join(["--items", *map(str, options.items), "--memory", options.memory])
    text = f"`python -m benchmarks.small_server {words}{' --no-kills' * options.no_kills}`: {page.machine()}\n\n"
    text += table(rows)
    print(text)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in rows], indent=1))
    if options.write:
        page.write("small-server", text)
    return int(any(each.lost for each in rows))


if __name__ == "__main__":
    sys.exit(main())
