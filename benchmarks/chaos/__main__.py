"""`python -m benchmarks.chaos`: Celery tasks and a batch under faults, then the count; stock kombu beside it."""

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import page
from benchmarks.chaos.count import Count
from benchmarks.chaos.options import POOLS, TRANSPORTS, Options
from benchmarks.chaos.power.command import main as power_command
from benchmarks.chaos.report import histograms, line, table
from benchmarks.chaos.results import ResultFile, merged
from benchmarks.chaos.run import Stuck
from benchmarks.chaos.scenarios import SCENARIOS, run
from gristmill.errors import GristmillError

#: What has options of its own: power cuts, and files that are torn.
POWER = ("power", "tear")
#: What has to lose something, so that another scenario proves that nothing is lost.
CONTROLS = {scenario.control for scenario in SCENARIOS.values() if scenario.control}


def _positive(kind: type[int] | type[float], least: float) -> "type[int] | type[float]":
    def number(text: str) -> float:
        value = kind(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is not allowed: {least:g} or more is")
        return value

    number.__name__ = "number"
    return number  # type: ignore[return-value]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    names = f"{', '.join(SCENARIOS)}; or all (default); {' and '.join(POWER)} have a --help of their own"
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", default=["all"], help=names)
    parser.add_argument("--transport", choices=[*TRANSPORTS, "both"], default="both", help="default: both, in turn")
    parser.add_argument("--pool", choices=[*POOLS, "both"], default="both")
    count, seconds = _positive(int, 0), _positive(float, 0)
    default = Options()
    parser.add_argument("--kills", type=_positive(int, 1), metavar="N", help="of each run (default: the scenario's)")
    parser.add_argument("--tasks", type=_positive(int, 1), metavar="N", help="of backlog, poison, replaced, batch")
    parser.add_argument("--seed", type=count, default=default.seed, help="of what is killed, when")
    parser.add_argument("--workers", type=_positive(int, 2), metavar="N", default=default.workers)
    parser.add_argument("--lease", type=_positive(float, 2), metavar="S", default=default.lease, help="seconds")
    parser.add_argument("--every", type=seconds, metavar="S", default=default.every, help="seconds between two kills")
    parser.add_argument("--seconds", type=seconds, metavar="S", default=default.seconds, help="that a task takes")
    parser.add_argument("--down", type=seconds, metavar="S", default=default.down, help="that a server stays away")
    parser.add_argument("--within", type=seconds, metavar="S", help="begin no fault later than that in a run")
    parser.add_argument(
        "--keep", action="store_true", help="keep logs, journal and server of every run in a temporary directory"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="append each run's count, and show the table of all runs in there"
    )
    parser.add_argument(
        "--total",
        type=_positive(int, 1),
        metavar="N",
        help="with --results: stop once FILE has N faults of each scenario, pool and transport",
    )
    parser.add_argument(
        "--write", action="store_true", help="with --results: write the table of all runs into docs/reliability.md"
    )
    parser.add_argument("--json", action="store_true", help="all counts as JSON in the last line")
    return parser


def _runs(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    """What is run: scenario, pool, transport."""
    choice = list(SCENARIOS) if "all" in arguments.scenarios else arguments.scenarios
    names = list(dict.fromkeys(name for each in choice for name in (each, SCENARIOS[each].control) if name))
    return [
        (name, pool, transport)
        for name in names
        for pool in SCENARIOS[name].pools
        if arguments.pool in (pool, "both")
        for transport in SCENARIOS[name].transports
        if arguments.transport in (transport, "both")
    ]


def _piece(
    run: tuple[str, str, str], options: Options, results: ResultFile | None, total: int | None
) -> Options | None:
    """The options of the next piece of a run: the seed goes on where the results end. None: they are complete.

    A control is complete once it has lost something.
    """
    scenario = SCENARIOS[run[0]]
    kills = scenario.kills if options.kills is None else options.kills
    is_control = run[0] in CONTROLS
    if is_control:
        options = replace(options, kills=min(kills, scenario.kills))
    if results is None:
        return options
    earlier = results.of(*run)
    options = replace(options, seed=options.seed + len(earlier))
    if is_control:
        return None if any(count.lost for count in earlier) else options
    if total is None:
        return options
    rest = total - sum(count.kills for count in earlier)
    return replace(options, kills=min(kills, rest)) if rest > 0 else None


def _play(
    runs: list[tuple[str, str, str]], options: Options, results: ResultFile | None, total: int | None
) -> tuple[list[Count], bool]:
    """Run the next piece of each; also whether one got stuck."""
    counts: list[Count] = []
    is_stuck = False
    for each in runs:
        piece = _piece(each, options, results, total)
        if piece is None:
            continue
        try:
            count = run(*each, piece)
        except (Stuck, GristmillError, TimeoutError) as error:
            is_stuck = True
            print(f"chaos: {error}", file=sys.stderr)
            continue
        counts.append(count)
        if results:
            results.append(count)
        print(line(count), flush=True)
    return counts, is_stuck


def _judged(counts: list[Count]) -> list[Count]:
    """The counts, of which a control has broken its promise if it has lost nothing."""
    for count in counts:
        if count.scenario in CONTROLS and not count.lost:
            count.broken.append("nothing was lost, so that these seeds prove nothing")
    return counts


def main() -> int:
    """Run what was asked for. 1: a promise was broken; 2: usage; 3: a server did not start, or a run got stuck."""
    if sys.argv[1:2] and sys.argv[1] in POWER:
        return power_command(sys.argv[1], sys.argv[2:])
    parser = _parser()
    arguments = parser.parse_args()
    for name in arguments.scenarios:
        if name not in (*SCENARIOS, "all"):
            parser.error(f"argument SCENARIO: {name!r} is not allowed: {', '.join(SCENARIOS)} or all is")
    if arguments.total and not arguments.results:
        parser.error("argument --total: needs --results")
    if arguments.write and not arguments.results:
        parser.error("argument --write: needs --results")
    fields = ("seed", "kills", "tasks", "workers", "lease", "every", "seconds", "down", "within", "keep")
    options = Options(**{field: getattr(arguments, field) for field in fields})
    results = ResultFile(arguments.results) if arguments.results else None
    counts, is_stuck = _play(_runs(arguments), options, results, arguments.total)
    counts = _judged(merged(results.counts()) if results else counts)
    report = f"{table(counts)}\n\n{histograms(counts)}".strip()
    print(f"\n{report}")
    if arguments.write:
        page.write("chaos", f"{page.machine()}\n\n{report}", page.RELIABILITY)
    if arguments.json:
        print(json.dumps([count.as_dict() for count in counts]))
    return 1 if any(count.broken for count in counts) else 3 if is_stuck else 0


if __name__ == "__main__":
    # A scenario's own calls meet each fault, and say so each time.
    logging.getLogger("gristmill").setLevel(logging.ERROR)
    sys.exit(main())
