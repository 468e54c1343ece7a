"""`python -m benchmarks.fibonacci`: the workload with which Windmill compares engines, on ours and on three peers.

10 times fib(33), 40 and 400 times fib(10), on one worker process and on ten; seconds from the first call to the last
task that is done, the workers being up. What Windmill has published is of another machine, an AWS m4.large:
https://www.windmill.dev/docs/misc/benchmarks/competitors/results/python.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from benchmarks import page
from benchmarks.options import at_least
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.peer import Peer
from benchmarks.peers.report import median_text
from benchmarks.peers.rounds import round_of
from benchmarks.peers.run import why
from gristmill.errors import ServerError

_CELERY = "celery -A celery_app worker --without-mingle --without-gossip -l error -c {}"
#: By row, the command of its workers for so many processes.
COMMANDS = {
    "Gristmill, batches": "python -m gristmill.worker cpu --slots {}",
    "Gristmill, plain messages, prefork": _CELERY,
    "Celery, prefork": _CELERY,
    "huey, processes": "huey_consumer huey_app.huey -w {} -k process -q",
    "dramatiq": "dramatiq dramatiq_app -p {} -t 1",
}


class Case(NamedTuple):
    """So many tasks of a kind on so many processes."""

    task: str
    count: int
    processes: int


CASES = tuple(
    Case(task, count, processes)
    for processes in (1, 10)
    for task, count in (("fib33", 10), ("fib10", 40), ("fib10", 400))
)
#: Seconds that Windmill has published for 10 × fib(33) in Python, one after the other on one worker.
PUBLISHED = {
    "Temporal": 7.247,
    "Hatchet": 7.793,
    "Windmill": 8.347,
    "Prefect": 15.489,
    "Kestra": 15.786,
    "Airflow": 54.668,
}


def rows() -> list[Peer]:
    """The peers, each with a command for one process and for ten."""
    return [
        replace(peer, workers={str(processes): (COMMANDS[peer.name].format(processes), 1) for processes in (1, 10)})
        for peer in PEERS
        if peer.name in COMMANDS
    ]


def seconds(peer: Peer, case: Case) -> float:
    """One round.

    Raises:
        RuntimeError: tasks were lost, or are not run.
        SubprocessError: the peer's environment cannot be made, or tasks cannot be put.
    """
    with round_of(peer, str(case.processes)) as this, this.workers():
        # Each process has started and run something.
        this.finished(this.many("fib10", 20 * case.processes))
        answer = this.many(case.task, case.count)
        return this.finished(answer) - float(answer["begun"])


def table(measured: dict[str, dict[Case, list[float]]]) -> str:
    """The rows in the order of their medians for 10 × fib(33), those that others have published among them."""
    head = ["seconds", *(f"{case.count} × fib({case.task[3:]}), {case.processes} processes" for case in CASES)]
    head = [text.replace(", 1 processes", ", 1 process") for text in head]
    lines = [
        (statistics.median(cases[CASES[0]]), [name, *(median_text(cases[case], 2) for case in CASES)])
        for name, cases in measured.items()
        if len(cases) == len(CASES)
    ]
    lines += [
        (value, [f"{name}, as published by Windmill", f"{value:.2f}", *["–"] * (len(CASES) - 1)])
        for name, value in PUBLISHED.items()
    ]
    return page.table(head, [line for _, line in sorted(lines)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fibonacci", description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=3, help="of which the median is shown (default: 3)")
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    measured: dict[str, dict[Case, list[float]]] = {peer.name: {} for peer in rows()}
    for number in range(options.rounds):
        for case in CASES:
            for peer in rows()[:: -1 if number % 2 else 1]:
                try:
                    took = seconds(peer, case)
                except (ServerError, RuntimeError, subprocess.SubprocessError) as error:
                    print(f"{peer.name}: {why(error)}", file=sys.stderr, flush=True)
                    continue
                measured[peer.name].setdefault(case, []).append(took)
                print(f"{peer.name}, {' '.join(map(str, case))}: {took:.2f} s", file=sys.stderr, flush=True)
    text = f"`python -m benchmarks.fibonacci --rounds {options.rounds}`: {page.machine()}\n\n{table(measured)}"
    print(text)
    if options.write:
        page.write("fibonacci", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
