"""`python -m benchmarks.growth`: what a batch costs as it grows, with more workers, and while workers die."""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.measured_command import MB, MeasuredCommand
from benchmarks.options import at_least
from benchmarks.server_load import usage
from benchmarks.started import Started, workers_of_noops
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load

SIZES, WORKERS = (1_000, 10_000, 100_000, 1_000_000), (1, 2, 4, 8)
LOOK = 0.01


@dataclass(frozen=True, slots=True)
class Growth:
    """One batch of no-ops.

    `seconds` from when `submit` begins, its modules loaded, until the last item is recorded. `producer`, `follower`
    and `server` are MB at their largest; `cpu` (of the server, in µs), `memory` and `aof` (in bytes) are of an item.
    `lost` is what counters or results do not account for.
    """

    items: int
    workers: int
    kills: int
    seconds: float
    producer: float
    follower: float
    server: float
    cpu: float
    memory: float
    aof: float
    duplicates: int
    lost: int


class Trial:
    """A server and workers of one slot each, all of which has run something."""

    def __init__(self, started: Started) -> None:
        _, self._client, self._fleet, self._environ, self._directory = started
        self._ledger = Ledger(self._client, load({}))

    def run(self, items: int, kills: int, luck: random.Random) -> Growth:
        """Submit, follow and look; kill a worker, and start another, whenever another share of the items is done."""
        name = f"growth-{items}-{kills}"
        source, output = self._directory / "items", self._directory / name
        with source.open("w") as file:
            file.writelines(f"{number}\n" for number in range(items))
        before, largest, killed = usage(self._client), 0.0, 0
        submit = MeasuredCommand(["submit", "noop", "--from", str(source), "--name", name, "--quiet"], self._environ)
        follow: MeasuredCommand | None = None
        while submit.running() or follow is None or follow.running():
            if follow is None:
                if self._info(name) is None:
                    continue
                arguments = ["results", name, "--follow", "--output", str(output), "--quiet"]
                follow = MeasuredCommand(arguments, self._environ)
            largest = max(largest, usage(self._client)["memory"])
            info = self._info(name)
            if killed < kills and info and info.done > items * (killed + 1) / (kills + 1):
                victim = luck.choice(self._fleet.workers)
                victim.kill()
                self._fleet.replace(victim)
                killed += 1
            time.sleep(LOOK)
        after, info = usage(self._client), self._info(name)
        with output.open("rb") as file:
            results = sum(1 for _ in file)
        if info is None or info.finished is None:
            raise RuntimeError(f"the batch {name} has not ended")
        self._ledger.delete(name)
        return Growth(
            items=items,
            workers=len(self._fleet.workers),
            kills=killed,
            seconds=info.finished - submit.started_at,
            producer=submit.memory,
            follower=follow.memory,
            server=largest / MB,
            cpu=1e6 * (after["cpu"] - before["cpu"]) / items,
            memory=(after["memory"] - before["memory"]) / items,
            aof=(after["aof"] - before["aof"]) / items,
            duplicates=info.duplicates,
            lost=items - min(info.succeeded, results),
        )

    def _info(self, name: str) -> BatchInfo | None:
        state = self._ledger.state(name)
        return BatchInfo.from_fields(name, state) if state else None


@contextmanager
def trial(workers: int) -> Iterator[Trial]:
    """A server of its own, and workers that beat and have learned how long a no-op takes."""
    with workers_of_noops(workers, load({})) as started:
        # A rewrite would hide what was written.
        started.client.config_set("auto-aof-rewrite-percentage", 0)
        ahead = ["run", "noop", *map(str, range(workers * 2)), "--name", "ahead", "--quiet"]
        command = [sys.executable, "-m", "gristmill", *ahead]
        subprocess.run(command, env=started.environ, check=True, stdout=subprocess.DEVNULL)
        yield Trial(started)


def ratios(growths: Sequence[Growth]) -> dict[str, float]:
    """What an item of the largest batch costs to what one of 10,000 does, or of the smallest, if there is none."""
    small = next((each for each in growths if each.items == 10_000), growths[0])
    large = growths[-1]
    return {
        "seconds": (large.seconds / large.items) / (small.seconds / small.items),
        "CPU of the server": large.cpu / small.cpu,
        "memory": large.memory / small.memory,
        "AOF": large.aof / small.aof,
    }


def table(growths: Sequence[Growth]) -> str:
    """The trials, a line each."""
    head = ["items", "workers", "kills", "seconds", "items/s", "producer, MB", "follower, MB", "server, MB"]
    head += ["server CPU of an item, µs", "memory of an item, bytes", "AOF of an item, bytes", "duplicates", "lost"]
    rows = [
        [f"{each.items:,}", str(each.workers), str(each.kills), f"{each.seconds:,.2f}"]
        + [f"{value:,.0f}" for value in (each.items / each.seconds, each.producer, each.follower, each.server)]
        + [f"{value:,.1f}" for value in (each.cpu, each.memory, each.aof)]
        + [f"{each.duplicates:,}", str(each.lost)]
        for each in growths
    ]
    return page.table(head, rows)


def goals(sizes: Sequence[Growth], killed: Growth | None) -> str:
    """The goals, and whether each is reached."""
    rows = [
        [f"cost of an item at {sizes[-1].items:,}, to that at 10,000: {what}", "≤ 1.2×", f"{ratio:.2f}×", ratio <= 1.2]
        for what, ratio in ratios(sizes).items()
    ]
    for role in ("producer", "follower"):
        memory = [getattr(each, role) for each in sizes]
        rows.append([f"memory of the {role}, least to most", "≤ 20 MB", f"{max(memory) - min(memory):.0f} MB"])
        rows[-1].append(max(memory) - min(memory) <= 20)
    if killed:
        text = f"lost of {killed.items:,} items with {killed.kills} workers killed"
        rows.append([text, "0", str(killed.lost), killed.lost == 0])
    lines = [[*map(str, row[:3]), "yes" if row[3] else "**no**"] for row in rows]
    return page.table(["goal", "allowed", "measured", "reached"], lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    numbers: dict[str, Any] = {"type": at_least(1), "nargs": "+", "metavar": "N"}
    parser.add_argument("--sizes", **numbers, default=SIZES, help="items of the batches, with 2 workers")
    parser.add_argument("--workers", **numbers, default=WORKERS, help="workers of one slot each, with --items")
    parser.add_argument("--items", type=at_least(1), default=100_000, help="items of the batch that more workers run")
    parser.add_argument(
        "--kills", type=at_least(0), default=3, help="workers killed while they run the largest batch; 0: none"
    )
    parser.add_argument("--json", type=Path, help="write what was found into this file")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    return parser


def _options_of(options: argparse.Namespace) -> Iterator[str]:
    """The options that decide what is measured, where they are not the usual ones."""
    for name in ("sizes", "workers", "items", "kills"):
        value, usual = getattr(options, name), parser().get_default(name)
        if isinstance(value, list) and tuple(value) != usual:
            yield f"--{name} {' '.join(map(str, value))}"
        elif isinstance(value, int) and value != usual:
            yield f"--{name} {value}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials and print them; exit code 1: something was lost."""
    options, luck = parser().parse_args(arguments), random.Random(1)
    sizes, largest = sorted(set(options.sizes)), max(options.sizes)
    plan: dict[int, list[tuple[int, int]]] = {2: [(items, 0) for items in sizes]}
    for workers in options.workers:
        plan.setdefault(workers, []).append((options.items, 0))
    plan[2] += [(largest, options.kills)] if options.kills else []
    rows = []
    for workers, batches in plan.items():
        with trial(workers) as one:
            for items, kills in dict.fromkeys(batches):
                rows.append(one.run(items, kills, luck))
                print(rows[-1], file=sys.stderr, flush=True)
    killed = next((each for each in rows if each.kills), None)
    line = "".join(f" {text}" for text in _options_of(options))
    text = "\n".join(
        [
            f"`python -m benchmarks.growth{line}`: {page.machine()}\n",
            table(rows),
            goals(rows[: len(sizes)], killed),
        ]
    )
    print(text)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in rows], indent=1))
    if options.write:
        page.write("growth", text)
    return int(any(each.lost for each in rows))


if __name__ == "__main__":
    sys.exit(main())
