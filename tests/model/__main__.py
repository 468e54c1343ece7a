"""The deeper run: `python -m tests.model [SCENARIO…]`."""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.model.explorer import LOT, Explorer
from tests.model.product import scripts_edited
from tests.model.scenarios import FULL
from tests.model.seeds import SEEDS
from tests.model.server import recording_client
from tests.model.walk import walks
from tests.model.world import Scenario


def _options() -> argparse.Namespace:
    names = ", ".join(scenario.name for scenario in FULL)
    parser = argparse.ArgumentParser(
        prog="python -m tests.model",
        description="Explore the states of the shipped scripts, breadth first, or walk at random.",
        epilog=f"The scenarios: {names}. Without one, all are explored, one after another.",
    )
    parser.add_argument("scenario", nargs="*", help="what to explore")
    parser.add_argument(
        "--items", type=int, help="items of the batch, or plain messages (3); of a walk, at most so many (6)"
    )
    parser.add_argument("--faults", type=int, default=2, help="most faults on a path (2)")
    parser.add_argument("--states", type=int, default=0, help="stop a scenario at so many states")
    parser.add_argument("--seconds", type=float, default=0, help="stop a scenario after so many seconds")
    parser.add_argument("--walks", type=int, default=0, help="walk at random so many times instead")
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the first walk (0); each further one has the next"
    )
    parser.add_argument(
        "--broken",
        choices=[seed.name for seed in SEEDS],
        help="take a guard out of the scripts first; without SCENARIO, explore the one that shows it",
    )
    return parser.parse_args()


def _scenarios(options: argparse.Namespace) -> list[Scenario]:
    if options.broken and not options.scenario:
        return [seed.scenario for seed in SEEDS if seed.name == options.broken]
    by_name = {scenario.name: scenario for scenario in FULL}
    if strange := set(options.scenario) - by_name.keys():
        sys.exit(f"invalid value for SCENARIO: {', '.join(strange)} (expected any of {', '.join(by_name)})")
    scenarios = []
    for name in options.scenario or by_name:
        scenario = replace(by_name[name], faults=options.faults)
        if options.items and scenario.items:
            scenario = replace(scenario, items=options.items, blocks=())
        elif options.items:
            scenario = replace(scenario, messages=options.items)
        scenarios.append(scenario)
    return scenarios


def main() -> int:
    """Run what the options say; 1 when something is wrong."""
    options = _options()
    by_name = {seed.name: seed for seed in SEEDS}
    edit = by_name[options.broken].edit if options.broken else str
    wrong = 0
    with tempfile.TemporaryDirectory() as directory, recording_client(Path(directory)) as client, scripts_edited(edit):
        explorer = Explorer(client)
        seeds = range(options.seed, options.seed + options.walks)
        for first in seeds[::LOT]:
            reports = walks(explorer, seeds[first - seeds.start :][:LOT], options.items or 6, options.faults)
            problems = [report for report in reports if report.problem]
            wrong += len(problems)
            print(*(problems or reports[-1:]), sep="\n", flush=True)
        for scenario in [] if options.walks else _scenarios(options):
            report = explorer.explore(scenario, options.states, options.seconds)
            wrong += bool(report.problem)
            print(report, flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
