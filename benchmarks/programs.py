"""`python -m benchmarks.programs rate|cpu|pipe`: programs as items, beside other tools, in rounds of one run.

`rate`: 10,000 times `true`, on two slots. `cpu`: 1,000 programs that compute for 10 ms each. Every round has each tool
once, every other round backwards. Both print the seconds of each tool, start and end included, the CPU time of all its
processes and the programs, and the goals: ratios within rounds with their 95 % intervals, of `run`, which starts a
fleet of its own, and of `run beside up`, which finds one. `pipe`: a million lines from a pipe into one `run`, which is
killed midway and repeated; prints the memory that it took, counts what ran and what was printed, and the goals. GNU
parallel is measured if it is installed.
"""

import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import page
from benchmarks.ab.interval import FEWEST, paired
from benchmarks.options import at_least, use_bytecode
from benchmarks.peers.report import median_text
from benchmarks.program_pipe import pipe
from benchmarks.program_tools import OURS, fleet, tools
from gristmill.server.home import Home

WORDS = {None: "unresolved", True: "yes", False: "**no**"}
#: By part: another tool, and the most that our seconds may be of its own.
GOALS = {"rate": {"parallel": 1 / 2, "xargs": 1 / 0.8, "hyperqueue": 1, "hypershell": 1}, "cpu": {"xargs": 1.05}}


class Cost(NamedTuple):
    """What a tool took for its items: seconds, and seconds of CPU of all its processes and the programs."""

    seconds: float
    cpu: float


def ten_milliseconds(directory: Path) -> list[str]:
    """A program that computes for about 10 ms, beyond its start; its text is a file in the directory.

    No brace is in its words: HyperShell takes what is in braces for a template of its own, and runs nothing.
    """
    loops = 2_000_000
    path = directory / "ten-milliseconds.awk"
    words = ["awk", "-f", str(path)]
    path.write_text(f"BEGIN {{for (i = 0; i < {loops}; i++) ; }}")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(words, check=True)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    path.write_text(f"BEGIN {{for (i = 0; i < {round(loops * 0.01 / max(seconds, 0.01))}; i++) ; }}")
    return words


def measure(part: str, items: int, rounds: int, names: list[str]) -> dict[str, list[Cost]]:
    """What each tool took for so many items, round by round, printed as it comes."""
    with tempfile.TemporaryDirectory() as directory, fleet() as home:
        words = ["true"] if part == "rate" else ten_milliseconds(Path(directory))
        path = Path(directory) / "items"
        path.write_text("".join(f"{index}\n" for index in range(items)))
        contenders = tools(names, home)
        costs: dict[str, list[Cost]] = {name: [] for name in contenders}
        for number in range(rounds):
            for name in list(contenders)[:: -1 if number % 2 else 1]:
                used, started_at = processor_seconds(home), time.perf_counter()
                contenders[name](words, path)
                cost = Cost(time.perf_counter() - started_at, processor_seconds(home) - used)
                costs[name].append(cost)
                print(
                    f"{name:15} {cost.seconds:8.2f} s, CPU {cost.cpu:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True
                )
    return costs


def processor_seconds(home: str) -> float:
    """CPU seconds so far of what this process has started and waited for, and of the fleet in that home."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    owner = Home(Path(home)).running()
    assert owner is not None
    first = psutil.Process(owner.pid)
    # Of each: its own, and that of the children that it has waited for.
    fleet_seconds = sum(sum(each.cpu_times()[:4]) for each in (first, *first.children(recursive=True)))
    return ended.ru_utime + ended.ru_stime + fleet_seconds


def medians(costs: Mapping[str, Sequence[Cost]], items: int) -> str:
    """The table of what each tool took, and how much more CPU time than xargs, which does no more than fork."""
    rows = []
    for name, values in costs.items():
        seconds, cpu = ([*column] for column in zip(*values, strict=True))
        more = [
            1000 * (ours.cpu - theirs.cpu) / items for ours, theirs in zip(values, costs.get("xargs", ()), strict=False)
        ]
        rate = f"{items / statistics.median(seconds):,.0f}"
        rows.append([name, median_text(seconds, 2), rate, median_text(cpu, 2), median_text(more, 2) if more else ""])
    return page.table(["", "seconds", "programs a second", "CPU, s", "CPU beyond xargs, ms a program"], rows)


def goals(part: str, seconds: Mapping[str, Sequence[float]]) -> str:
    """The table of the goals: our seconds to those of another tool in the same round."""
    rows = []
    for ours in OURS:
        for other, most in GOALS[part].items():
            if ours not in seconds or other not in seconds:
                continue
            ratios = [mine / theirs for mine, theirs in zip(seconds[ours], seconds[other], strict=True)]
            text, reached = f"{statistics.median(ratios):.2f}×", None
            if len(ratios) >= FEWEST:
                ratio = paired(ratios)
                text = f"{ratio.estimate:.2f}× ({ratio.low:.2f} to {ratio.high:.2f})"
                reached = ratio.keeps(most, at_least=False)
            rows.append([f"`{ours}`: seconds, to {other}", f"≤ {most:.3g}×", text, WORDS[reached]])
    return page.table(["goal", "allowed", "measured (95 % interval)", "reached"], rows)


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "cpu", "pipe"))
    parser.add_argument("--items", type=at_least(1), help="items; default: 10,000, 1,000 or 1,000,000")
    parser.add_argument(
        "--rounds",
        type=at_least(1),
        default=FEWEST,
        help=f"rounds of all tools; default: {FEWEST}, the fewest that tell",
    )
    parser.add_argument("--tools", nargs="*", default=[], help="the tools; default: all")
    arguments = parser.parse_args()
    use_bytecode()
    if arguments.what == "pipe":
        print(pipe(arguments.items or 1_000_000))
    else:
        items = arguments.items or (10_000 if arguments.what == "rate" else 1_000)
        costs = measure(arguments.what, items, arguments.rounds, arguments.tools)
        seconds = {name: [cost.seconds for cost in values] for name, values in costs.items()}
        print(medians(costs, items), goals(arguments.what, seconds), sep="\n")
    print(page.machine())


if __name__ == "__main__":
    main()
