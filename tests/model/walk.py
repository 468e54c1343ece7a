"""Random walks: more items and longer paths than an exploration reaches, the same ones for the same seed."""

from collections.abc import Generator, Iterable
from random import Random

from tests.model.actors import Act, steps
from tests.model.explorer import Explorer, Report
from tests.model.invariants import ended
from tests.model.player import Result
from tests.model.world import Scenario, World

#: Steps until the walk goes on without faults; and until it must have come to the end then.
LUCKLESS_STEPS, FAIR_STEPS = 80, 3000
_OPERATORS: tuple[tuple[str, ...], ...] = (
    (),
    ("cancel",),
    ("pause", "resume"),
    ("retry",),
    ("cancel", "retry cancelled"),
    ("purge", "retry"),
    ("submit anew",),
    ("kill", "retry cancelled"),
    ("drain", "drain"),
    ("pause", "cancel", "retry cancelled"),
)
_LIMITS: tuple[dict[str, str], ...] = (
    *({}, {}, {"halt": "fail=1"}, {"halt": "50%"}, {"max_running": "1"}, {"rate": "20/m"}),
    {"limit_by": "n", "max_running": "1"},
    {"limit_by": "n", "rate": "20/m", "task_max_running": "1"},
    {"task_limit_by": "n", "task_max_running": "1"},
    {"task_rate": "20/m"},
)


def scenario_of(seed: int, items: int, faults: int) -> Scenario:
    """The scenario of a seed, with up to `items` items."""
    random = Random(seed)
    count = random.randint(1, items)
    outcomes = {index: random.choice(("s", "rs", "rf", "f", "fs", "d")) for index in range(count)}
    first = random.randint(1, count)
    return Scenario(
        f"walk {seed}",
        items=count,
        outcomes=outcomes,
        operator=random.choice(_OPERATORS),
        faults=faults,
        blocks=(first, count - first) if first < count else (),
        limits=random.choice(_LIMITS),
        untold=random.random() < 0.5,
    )


def walks(explorer: Explorer, seeds: Iterable[int], items: int = 6, faults: int = 2) -> list[Report]:
    """Walk once for each seed, all side by side."""
    reports = [Report(scenario_of(seed, items, faults)) for seed in seeds]
    ways = [_walk(explorer, report, Random(seed)) for seed, report in zip(seeds, reports, strict=True)]
    plays = {way: next(way) for way in ways}
    while plays:
        results = explorer.player.play([(world, [act]) for world, act in plays.values()])
        for way, (result,) in zip(list(plays), results, strict=True):
            try:
                plays[way] = way.send(result)
            except StopIteration:
                del plays[way]
    return reports


def _walk(explorer: Explorer, report: Report, random: Random) -> Generator[tuple[World, Act], Result, None]:
    """Walk a while with faults, then without until the end: yields each step that has calls, and is sent its result."""
    world, path = explorer.begin(report.scenario), []
    fair = random.randint(1, LUCKLESS_STEPS)
    for at in range(fair + FAIR_STEPS):
        possible = list(steps(world.actors, report.scenario))
        faulty = [step for step in possible if step.fault or step.lost]
        # A fault about once in so many steps that the path has them all.
        unlucky = at < fair and faulty and random.random() < 2 * report.scenario.faults / fair
        step = random.choice(faulty) if unlucky else random.choice([step for step in possible if not step.fault])
        if step.run:
            world, report.problem = yield world, step.run
        actors = step.lost if unlucky and step.lost else step.after
        world = World(actors, world.snapshot) if actors else world
        report.problem = report.problem or explorer.problem(world, report.scenario)
        report.transitions += 1
        path.append(step.words + (", answer lost" if unlucky and step.lost else ""))
        if report.problem or (at >= fair and ended(world.actors, world.view, report.scenario)):
            break
    else:
        report.problem = f"{FAIR_STEPS} fair steps have not led to the end"
    report.states, report.path = report.transitions, tuple(path) if report.problem else ()
