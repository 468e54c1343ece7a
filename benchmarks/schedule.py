"""`python -m benchmarks.schedule`: a schedule of each second while worker and server are killed, then the count.

`gristmill up` starts again what is killed. In the middle everything is down for a while: an outage, which is to be
answered by one run.
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import psutil

#: Seconds for which workers may be away before it is an outage; for a start, and for the end of the last runs.
AWAY_SECONDS, PATIENCE_SECONDS = 10, 60
GRISTMILL = [sys.executable, "-m", "gristmill"]


@dataclass(frozen=True, slots=True)
class ScheduleCount:
    """What became of the times of a schedule; of the outage, `outage_times` have no batch."""

    times: int
    runs: int
    left_out: int
    outage_times: int
    #: Batches that were made more than AWAY_SECONDS after their time.
    late_runs: int
    #: The latest of the others, in seconds.
    latest: float
    unfinished: int
    kills: int

    @property
    def faults(self) -> list[str]:
        """Which promises do not hold."""
        faults = []
        if self.times != self.runs + self.left_out + self.outage_times:
            faults.append("a time has neither a batch nor a reason to have none")
        if self.late_runs != 1 or not self.outage_times:
            faults.append("the outage was not answered by one run")
        if self.unfinished:
            faults.append("a batch has not succeeded")
        return faults


class Bench:
    """A home with a fleet of one worker, whose processes are killed."""

    def __init__(self, directory: Path, log: IO[bytes], seed: int) -> None:
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
        self.environ |= {"GRISTMILL_HOME": str(directory / "home")}
        self._log = log
        self._random = random.Random(seed)
        self.kills = 0

    def ask(self, *words: str) -> list[dict[str, Any]]:
        """What a command prints as JSON lines, as soon as the server answers."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = subprocess.run([*GRISTMILL, *words], env=self.environ, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return [json.loads(line) for line in done.stdout.splitlines()]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{' '.join(words)}: {done.stderr}")
            time.sleep(0.2)

    def do(self, *words: str) -> None:
        """Run a command to its end; what it prints goes to the log."""
        subprocess.run([*GRISTMILL, *words], env=self.environ, check=True, stdout=self._log, stderr=self._log)

    @contextmanager
    def up(self) -> Iterator[psutil.Process]:
        """`gristmill up` with one worker of threads; in the end it is killed, and all that it started ends."""
        command = [*GRISTMILL, "up", "io", "--io-slots", "4"]
        process = subprocess.Popen(command, env=self.environ, stdout=self._log, stderr=self._log)
        try:
            self.ask("workers", "--json")
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def disturb(self, up: psutil.Process, seconds: float, every: float) -> None:
        """Kill the worker or the server now and then."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, every * self._random.uniform(0.5, 1.5)))
            victims = [child for child in up.children(recursive=True) if _is_victim(child)]
            if victims and time.monotonic() < end:
                self._random.choice(victims).kill()
                self.kills += 1


def _is_victim(process: psutil.Process) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return "gristmill.worker" in line or "valkey" in line.partition(" ")[0]


def measure(directory: Path, seconds: float, every: float, outage: float, seed: int) -> ScheduleCount:
    """Run the schedule for so many seconds, with an outage in the middle, and count."""
    with (directory / "up.log").open("ab") as log:
        return _measure(Bench(directory, log, seed), seconds, every, outage)


def _measure(bench: Bench, seconds: float, every: float, outage: float) -> ScheduleCount:
    with bench.up() as up:
        bench.do("submit", "pause", "0", "--name", "each", "--every", "1s")
        bench.disturb(up, seconds / 2, every)
        time.sleep(AWAY_SECONDS)
        outage_from = time.time()
    time.sleep(outage)
    with bench.up() as up:
        bench.disturb(up, seconds / 2, every)
        time.sleep(AWAY_SECONDS)
        bench.do("schedule", "pause", "each")
        return _count(bench, outage_from, outage)


def _count(bench: Bench, outage_from: float, outage: float) -> ScheduleCount:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(batch["finished"] is None for batch in bench.ask("batches", "--json")):
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    (schedule,), batches = bench.ask("schedule", "list", "--json"), bench.ask("batches", "--json")
    # Each time falls into a second of its own, by which its batch is called.
    made_at = {_second_of(batch["name"]): datetime.fromisoformat(batch["created"]).timestamp() for batch in batches}
    first, last = min(made_at), math.floor(datetime.fromisoformat(schedule["last_due"]).timestamp())
    within = range(math.floor(outage_from) - 2, math.ceil(outage_from + outage) + AWAY_SECONDS)
    late = {second: at - second for second, at in made_at.items()}
    return ScheduleCount(
        times=last - first + 1,
        runs=schedule["runs"],
        left_out=schedule["left_out"],
        outage_times=_longest([second for second in within if second not in made_at]),
        late_runs=sum(seconds > AWAY_SECONDS for seconds in late.values()),
        latest=max(seconds for seconds in late.values() if seconds <= AWAY_SECONDS),
        unfinished=sum(batch["state"] != "succeeded" for batch in batches) + abs(len(batches) - schedule["runs"]),
        kills=bench.kills,
    )


def _second_of(name: str) -> int:
    """The time in the name of a run, as Unix time."""
    return round(datetime.strptime(name[-15:] + "Z", "%Y%m%d-%H%M%S%z").timestamp())


def _longest(seconds: list[int]) -> int:
    """How many of the seconds are the longest row without a gap."""
    best = length = 0
    for before, second in pairwise([-math.inf, *seconds]):
        length = length + 1 if second == before + 1 else 1
        best = max(best, length)
    return best


def main() -> int:
    """Run it, print the count as JSON, and exit with 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schedule", description=__doc__)
    parser.add_argument("--seconds", type=float, metavar="S", default=600, help="of kills (default: 600)")
    parser.add_argument("--every", type=float, metavar="S", default=15, help="between two kills, about (default: 15)")
    parser.add_argument("--outage", type=float, metavar="S", default=30, help="more than 15 (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed, when")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gristmill-schedule-") as directory:
        count = measure(Path(directory), arguments.seconds, arguments.every, arguments.outage, arguments.seed)
    print(json.dumps(asdict(count)))
    for fault in count.faults:
        print(f"schedule: {fault}", file=sys.stderr)
    return 1 if count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
