"""`python -m benchmarks.chaos power` and `tear`: power cuts under load, and a file torn at every byte of a script."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from benchmarks.chaos.power import cuts, tear
from benchmarks.chaos.power.disk import NoCompiler
from benchmarks.chaos.power.lives import LIFE_OF
from benchmarks.chaos.power.servers import KINDS, Missing
from gristmill.errors import ServerError

POWER = {
    "server": lambda count: f"{count.server} {count.version}",
    "started by": lambda count: "Gristmill" if count.ours else "others",
    "appendfsync": lambda count: count.fsync,
    "cuts": lambda count: f"{count.cuts:,}",
    "while rewriting": lambda count: f"{count.rewrites:,}",
    "answers": lambda count: f"{count.answers:,}",
    "lost": lambda count: f"{count.lost:,}",
    "hanging": lambda count: f"{count.hanging:,}",
    "parts disagreed, mended": lambda count: f"{count.disagreed:,}, {count.mended:,}",
    "items": lambda count: f"{count.submitted:,}",
    "succeeded + failed + cancelled + dead": lambda count: " + ".join(
        f"{count.states[state]:,}" for state in ("succeeded", "failed", "cancelled", "dead")
    ),
    "not flushed, bytes": lambda count: f"{count.bytes:,}",
    "took, s": lambda count: f"{count.seconds:.0f}",
}
TEAR = {
    "server": lambda count: f"{count.server} {count.version}",
    "started by": lambda count: "Gristmill" if count.ours else "others",
    "script": lambda count: count.script,
    "tears": lambda count: f"{count.tears:,}",
    "half scripts": lambda count: f"{count.halves:,}",
    "mended": lambda count: f"{count.mended:,}",
    "hanging": lambda count: f"{count.hanging:,}",
    "answered writes lost": lambda count: f"{count.lost:,}",
    "took, s": lambda count: f"{count.seconds:.0f}",
}


def main(scenario: str, words: Sequence[str]) -> int:
    """Run it. 1: a promise was broken; 3: a server did not start, or this machine has none of them."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.chaos {scenario}", description=__doc__)
    parser.add_argument("--server", choices=[*KINDS, "all"], default="embedded")
    parser.add_argument("--started-by", choices=["gristmill", "others"], default="gristmill")
    parser.add_argument("--seed", type=int, default=1, help="of what is cut, when")
    if scenario == "power":
        parser.add_argument("--cuts", type=int, default=1000, metavar="N", help="of each run (default: 1000)")
        parser.add_argument("--fsync", choices=["always", "everysec", "both"], default="both")
    else:
        parser.add_argument("--stride", type=int, default=1, metavar="N", help="tear at every Nth byte (default: 1)")
        parser.add_argument("--script", choices=[*LIFE_OF, "all"], default="record", help="(default: record)")
        parser.add_argument("--first", type=int, metavar="N", help="the first byte to tear at, from 0")
        parser.add_argument("--within", type=float, metavar="S", help="begin no tear later than that in a run")
    arguments = parser.parse_args(words)
    # Every second cut leaves a torn file, and the server says so each time.
    logging.getLogger("gristmill").setLevel(logging.ERROR)
    servers = KINDS if arguments.server == "all" else [arguments.server]
    return _report(POWER if scenario == "power" else TEAR, list(_runs(scenario, arguments, servers)))


def _runs(scenario: str, arguments: argparse.Namespace, servers: Sequence[str]) -> list[Callable[[], object]]:
    ours, seed = arguments.started_by == "gristmill", arguments.seed
    if scenario == "tear":
        scripts = LIFE_OF if arguments.script == "all" else [arguments.script]
        options = {name: getattr(arguments, name) for name in ("stride", "within", "first")}
        return [
            lambda s=server, name=script: tear.run(s, name, ours=ours, seed=seed, **options)
            for server in servers
            for script in scripts
        ]
    policies = ["always", "everysec"] if arguments.fsync == "both" else [arguments.fsync]
    return [
        lambda s=server, p=policy: cuts.run(s, p, arguments.cuts, seed, ours=ours)
        for server in servers
        for policy in policies
    ]


def _report(columns: dict[str, Callable[..., str]], runs: Sequence[Callable[[], object]]) -> int:
    print(f"| {' | '.join([*columns, 'verdict'])} |\n|{' --- |' * (len(columns) + 1)}", flush=True)
    code, counted = 0, False
    for run in runs:
        try:
            count: object = run()
        except (Missing, NoCompiler) as error:
            print(f"skipped: {error}", file=sys.stderr)
            continue
        except ServerError as error:
            print(f"chaos: {error}", file=sys.stderr)
            return 3
        counted = True
        broken = count.broken  # type: ignore[attr-defined]
        row = [show(count) for show in columns.values()]
        print(f"| {' | '.join([*row, '; '.join(broken) or 'ok'])} |", flush=True)
        code = max(code, int(bool(broken)))
    return code if counted else 3
