"""The scenarios: what is done, to which pools, how much of it, and what is promised."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.chaos import batch, failover, faults, recovery, stalls
from benchmarks.chaos.count import Count, tally
from benchmarks.chaos.options import POOLS, TRANSPORTS, Options
from benchmarks.chaos.run import Run, Stuck
from gristmill.config.settings import load
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer

#: Seconds within which a dead worker's messages run elsewhere, with a lease of 20; and leases, with a longer one.
WITHIN_SECONDS, WITHIN_LEASES = 30.0, 1.5


@dataclass(frozen=True, slots=True)
class Scenario:
    """`play` does it to a run, with a number of kills and of tasks.

    Promised is always that nothing is lost; with `drains` that nothing is left on the queue, with `once` that
    nothing runs twice, and that there are exactly `dead` dead letters.
    """

    play: Callable[[Run, int, int], None]
    kills: int = 0
    tasks: int = 0
    pools: tuple[str, ...] = POOLS
    transports: tuple[str, ...] = TRANSPORTS
    drains: bool = True
    once: bool = False
    dead: int = 0
    count: Callable[[Run, Count, float], None] = tally
    #: Instead of `play`, for what starts servers of its own: it gets the options, the count and a directory.
    whole: Callable[[Options, Count, Path], None] | None = None
    #: The scenario that shows with the same seed that this one could have lost something: it runs behind this one.
    control: str | None = None


SCENARIOS = {
    "kill": Scenario(faults.workers, kills=20),
    "child": Scenario(faults.children, kills=20, pools=("prefork",)),
    "stop": Scenario(partial(stalls.long, stall=stalls.stop), kills=3),
    "gil-stop": Scenario(partial(stalls.long, stall=stalls.seize), kills=3, pools=("threads",)),
    "pause": Scenario(partial(stalls.short, stall=stalls.stop), kills=3, once=True),
    "gil": Scenario(partial(stalls.short, stall=stalls.seize), kills=3, once=True),
    "block": Scenario(partial(stalls.short, stall=stalls.block), kills=3, once=True),
    "server": Scenario(faults.server, kills=3),
    "cut": Scenario(faults.cut, kills=20),
    "backlog": Scenario(faults.backlog, kills=3, tasks=1_000_000, drains=False),
    "poison": Scenario(faults.poisoned, tasks=200, dead=1),
    "warm": Scenario(faults.warm, kills=5, once=True),
    "replaced": Scenario(faults.replaced, tasks=500, pools=("prefork",), once=True),
    "long": Scenario(faults.long, once=True),
    "failover": Scenario(
        faults.workers,
        kills=200,
        pools=("threads",),
        transports=("ours",),
        whole=partial(failover.play, replicas=2),
        control="unconfirmed",
    ),
    "everysec": Scenario(
        faults.workers,
        kills=50,
        pools=("threads",),
        transports=("ours",),
        whole=partial(failover.play, replicas=2, fsync="everysec"),
        control="unconfirmed",
    ),
    "unconfirmed": Scenario(
        faults.workers, kills=8, pools=("threads",), transports=("ours",), whole=partial(failover.play, replicas=0)
    ),
    "recovery": Scenario(recovery.play, kills=60),
    "batch": Scenario(batch.play, kills=10, tasks=5000, transports=("ours",), count=batch.tally),
}


def run(name: str, pool: str, transport: str, options: Options) -> Count:
    """Run a scenario on a server of its own, with the shipped settings, and count.

    When a promise is broken, or the run gets stuck, its directory stays: logs, journal and the server's data.

    Raises:
        Stuck: it could not go on.
        ServerError: the server did not start.
    """
    scenario = SCENARIOS[name]
    kills = scenario.kills if options.kills is None else options.kills
    tasks = scenario.tasks if options.tasks is None else options.tasks
    count = Count(name, pool, transport, options.seed)
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    luck = random.Random(f"{options.seed} {name} {pool}")
    if scenario.whole:
        scenario.whole(replace(options, kills=kills), count, directory)
        return count
    try:
        with PrivateServer(Home(directory), load({})) as server:
            started_at = time.monotonic()
            with Run(server, directory, transport, pool, options, luck) as this:
                scenario.play(this, kills, tasks)
                scenario.count(this, count, started_at)
    except Stuck as stuck:
        raise Stuck(f"{name}, {pool}, {transport}: {stuck} (see {directory})") from None
    if transport == "ours":
        count.broken += broken(scenario, count, options)
    if count.broken:
        count.broken.append(f"see {directory}")
    elif not options.keep:
        shutil.rmtree(directory)
    return count


def broken(scenario: Scenario, count: Count, options: Options) -> list[str]:
    """What was promised and did not hold."""
    within = max(WITHIN_SECONDS, WITHIN_LEASES * options.lease)
    twice = count.duplicates or count.redelivered
    return [
        text
        for text, happened in (
            (f"{count.lost} lost", count.lost),
            (f"{count.left} left", scenario.drains and count.left),
            (f"{count.dead} dead letters instead of {scenario.dead}", count.dead != scenario.dead),
            (f"{twice} ran twice", scenario.once and twice),
            (f"{count.not_back} not back", count.not_back),
            (f"not back within {within:g} s", (count.worst or 0) > within),
        )
        if happened
    ]
