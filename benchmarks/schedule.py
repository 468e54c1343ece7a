"""`python -m benchmarks.schedule`: a schedule of each second under faults, then the count.

The faults: worker or server are killed (`gristmill up` starts them again), all connections are cut, and the clock of
all processes is moved by up to four seconds, forward or back. In the middle everything is down for a while: an outage,
which is to be answered by one run.
"""

import argparse
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import psutil
from redis import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.node import library
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.waiting import Deadline

#: Seconds for which workers may be away before it is an outage; for a start, and for the end of the last runs.
AWAY_SECONDS, PATIENCE_SECONDS = 10, 60
#: By how many seconds the clock is off, at most: a move is twice that, which leaves room for a kill in AWAY_SECONDS.
CLOCK_SECONDS = 2.0
NAME = "each"
GRISTMILL = [sys.executable, "-m", "gristmill"]


@dataclass(frozen=True, slots=True)
class ScheduleCount:
    """What became of the times of a schedule; `missed` ones were answered together with another one, in `outages`."""

    times: int
    runs: int
    left_out: int
    missed: int
    outages: int
    #: Times that were left out though a worker had looked in the ten seconds before.
    lost: int
    #: Batches that were made more than AWAY_SECONDS after their time.
    late_runs: int
    #: The latest of the others, in seconds.
    latest: float
    unfinished: int
    kills: int
    cuts: int
    clock_moves: int

    @property
    def faults(self) -> list[str]:
        """Which promises do not hold."""
        faults = []
        if self.lost or self.times != self.runs + self.left_out + self.missed:
            faults.append("a time has neither a batch nor a reason to have none")
        if not self.missed or self.late_runs > self.outages:
            faults.append("an outage was not answered by one run")
        if self.unfinished:
            faults.append("a batch has not succeeded")
        return faults


class Watch:
    """Looks several times a second at what the schedule has come to, and tells times that were missed together."""

    def __init__(self, home: Home) -> None:
        self._home, self._over = home, threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._before: tuple[int, int] | None = None
        self.missed = self.lost = 0
        #: Since when somebody looked all the time, of each outage that is over: ms.
        self.outages: set[int] = set()

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            running = self._home.running()
            if running:
                with suppress(RedisError), closing(Redis.from_url(running.url, decode_responses=True)) as client:
                    self._look(client)

    def _look(self, client: Redis) -> None:
        key = load({}).key
        with client.pipeline() as pipe:
            pipe.hmget(key(f"schedule:{NAME}:state"), "next", "runs", "left_out")
            pipe.hget(key("schedule_watch"), "since")
            (due, *numbers), since = pipe.execute()
        if due is None:
            return
        after = int(due), sum(int(number or 0) for number in numbers)
        if self._before:
            missed = (after[0] - self._before[0]) // 1000 - (after[1] - self._before[1])
            if missed and self._before[0] < int(since):
                self.outages.add(int(since))
                self.missed += missed
            else:
                self.lost += missed
        self._before = after


class Bench:
    """A home with a fleet of one worker, whose processes, connections and clock suffer."""

    def __init__(self, directory: Path, log: IO[bytes], seed: int) -> None:
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
        self.home = Home(directory / "home")
        self.environ |= {"GRISTMILL_HOME": str(self.home.path)}
        self._clock = directory / "clock"
        self._set_clock(0)
        self._fleet_environ = {"LD_PRELOAD": str(library(directory, "clock")), "CLOCK_FILE": str(self._clock)}
        self._log = log
        self._random = random.Random(seed)
        self.kills = self.cuts = self.clock_moves = 0

    def ask(self, *words: str) -> list[dict[str, Any]]:
        """What a command prints as JSON lines, as soon as the server answers."""
        deadline = Deadline(PATIENCE_SECONDS)
        while True:
            done = subprocess.run([*GRISTMILL, *words], env=self.environ, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return [json.loads(line) for line in done.stdout.splitlines()]
            if deadline.over:
                raise TimeoutError(f"{' '.join(words)}: {done.stderr}")
            time.sleep(0.2)

    def do(self, *words: str) -> None:
        """Run a command to its end; what it prints goes to the log."""
        subprocess.run([*GRISTMILL, *words], env=self.environ, check=True, stdout=self._log, stderr=self._log)

    @contextmanager
    def up(self) -> Iterator[psutil.Process]:
        """`gristmill up` with one worker of threads; in the end it is killed, and all that it started ends."""
        command = [*GRISTMILL, "up", "io", "--io-slots", "4"]
        environ = {**self.environ, **self._fleet_environ}
        process = subprocess.Popen(command, env=environ, stdout=self._log, stderr=self._log)
        try:
            self.ask("workers", "--json")
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def disturb(self, up: psutil.Process, seconds: float, every: float) -> None:
        """Do one of the faults now and then; the clock is right again in the end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, every * self._random.uniform(0.5, 1.5)))
            if time.monotonic() < end:
                self._random.choice((self._kill, self._kill, self._cut, self._move_clock))(up)
        self._set_clock(0)

    def _kill(self, up: psutil.Process) -> None:
        victims = [child for child in up.children(recursive=True) if _is_victim(child)]
        if victims:
            self._random.choice(victims).kill()
            self.kills += 1

    def _cut(self, _: psutil.Process) -> None:
        """Have the server close all other connections, whatever is on its way."""
        running = self.home.running()
        if not running:
            return
        with suppress(RedisError), closing(Redis.from_url(running.url)) as client:
            for kind in ("normal", "pubsub"):
                client.client_kill_filter(_type=kind, skipme=True)
            self.cuts += 1

    def _move_clock(self, _: psutil.Process) -> None:
        self._set_clock(self._random.uniform(-CLOCK_SECONDS, CLOCK_SECONDS))
        self.clock_moves += 1

    def _set_clock(self, seconds: float) -> None:
        """Have the clock of the fleet be so far ahead; its processes have the file mapped: it stays the same one."""
        with self._clock.open("r+b" if self._clock.exists() else "wb") as file:
            file.write(struct.pack("@l", round(1e6 * seconds)))


def _is_victim(process: psutil.Process) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return "gristmill.worker" in line or "valkey" in line.partition(" ")[0]


def measure(directory: Path, seconds: float, every: float, outage: float, seed: int) -> ScheduleCount:
    """Run the schedule for so many seconds, with an outage in the middle, and count."""
    with (directory / "up.log").open("ab") as log:
        bench = Bench(directory, log, seed)
        with Watch(bench.home) as watch:
            return _measure(bench, watch, seconds, every, outage)


def _measure(bench: Bench, watch: Watch, seconds: float, every: float, outage: float) -> ScheduleCount:
    with bench.up() as up:
        bench.do("submit", "pause", "0", "--name", NAME, "--every", "1s")
        bench.disturb(up, seconds / 2, every)
        time.sleep(AWAY_SECONDS)
    time.sleep(outage)
    with bench.up() as up:
        bench.disturb(up, seconds / 2, every)
        time.sleep(AWAY_SECONDS)
        bench.do("schedule", "pause", NAME)
        return _count(bench, watch)


def _count(bench: Bench, watch: Watch) -> ScheduleCount:
    deadline = Deadline(PATIENCE_SECONDS)
    while not deadline.over and any(batch["finished"] is None for batch in bench.ask("batches", "--json")):
        time.sleep(1)
    (schedule,), batches = bench.ask("schedule", "list", "--json"), bench.ask("batches", "--json")
    # Each time falls into a second of its own, by which its batch is called.
    made_at = {_second_of(batch["name"]): datetime.fromisoformat(batch["created"]).timestamp() for batch in batches}
    first, last = min(made_at), math.floor(datetime.fromisoformat(schedule["last_due"]).timestamp())
    late = {second: at - second for second, at in made_at.items()}
    return ScheduleCount(
        times=last - first + 1,
        runs=schedule["runs"],
        left_out=schedule["left_out"],
        missed=watch.missed,
        outages=len(watch.outages),
        lost=watch.lost,
        late_runs=sum(seconds > AWAY_SECONDS for seconds in late.values()),
        latest=max(seconds for seconds in late.values() if seconds <= AWAY_SECONDS),
        unfinished=sum(batch["state"] != "succeeded" for batch in batches) + abs(len(batches) - schedule["runs"]),
        kills=bench.kills,
        cuts=bench.cuts,
        clock_moves=bench.clock_moves,
    )


def _second_of(name: str) -> int:
    """The time in the name of a run, as Unix time."""
    return round(datetime.strptime(name[-15:] + "Z", "%Y%m%d-%H%M%S%z").timestamp())


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
