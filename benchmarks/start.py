"""`python -m benchmarks.start`: how long commands take from their start, and their CPU time.

`run fibonacci` starts a private server and a worker of its own: the time is that to the line of its first result, and
to its end. `run -- echo`, `submit` and `batches` find a server, with one worker; `batches` lists BATCHES. With
`--gristmill`, several programs called `gristmill`, such as those of two checkouts, take turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from redis import Redis

from benchmarks.options import use_bytecode
from benchmarks.peers.report import median_text
from benchmarks.started import await_workers, private_server, running
from gristmill import submit
from gristmill.config.settings import use

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))


class Times(NamedTuple):
    """Seconds to the first line on stdout and to the end, and of CPU, those of child processes included."""

    first: float
    end: float
    cpu: float


def measured(command: Sequence[str], variables: Mapping[str, str]) -> Times:
    """The times of one command, which must succeed."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - began
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Times(first, time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


def by_turns(programs: Sequence[str], words: Sequence[str], variables: Mapping[str, str], rounds: int) -> None:
    """Print the medians of a command, of each program; the first round is none of them: it writes bytecode."""
    times: dict[str, list[Times]] = {program: [] for program in programs}
    for _ in range(rounds + 1):
        for program in programs:
            times[program].append(measured([program, *words], variables))
    for program, every in times.items():
        first, end, cpu = (median_text(column, 2) for column in zip(*every[1:], strict=True))
        name = "gristmill" if len(programs) == 1 else program
        print(f"{name} {' '.join(words)}, seconds: first line {first}, end {end}, CPU {cpu}", flush=True)


def main() -> None:
    """Measure each command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--gristmill", nargs="+", metavar="PROGRAM", default=[GRISTMILL])
    arguments = parser.parse_args()
    use_bytecode()
    with tempfile.TemporaryDirectory() as home:
        own = {**os.environ, "GRISTMILL_HOME": home}
        for words in (["--help"], ["run", "fibonacci", "30"]):
            by_turns(arguments.gristmill, words, own, arguments.rounds)
    with private_server() as (home, url):
        beside = {**os.environ, "GRISTMILL_HOME": home, "GRISTMILL_REDIS_URL": url, "GRISTMILL_COMMANDS": "any"}
        use({"home": home, "redis_url": url})
        with running("gristmill.worker", "cpu", "--slots", "1", environ=beside):
            await_workers(Redis.from_url(url, decode_responses=True))
            for words in (["run", "--", "echo", ":::", "1"], ["submit", "fibonacci", "10"]):
                by_turns(arguments.gristmill, words, beside, arguments.rounds)
            for number in range(arguments.batches):
                submit("fibonacci", [1], name=f"b{number}")
            by_turns(arguments.gristmill, ["batches"], beside, arguments.rounds)


if __name__ == "__main__":
    main()
