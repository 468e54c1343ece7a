"""Random walks: more items and longer paths than an exploration reaches, the same ones for the same seed."""

from dataclasses import replace
from random import Random

from tests.model.actors import Step, steps
from tests.model.explorer import Explorer, Report
from tests.model.invariants import ended
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
        halt=random.choice(("", "", "", "1", "50%")),
        max_running=random.choice(("", "", "1")),
    )


def walk(explorer: Explorer, seed: int, items: int = 6, faults: int = 2) -> Report:
    """Walk once: a while with faults, then without until the end."""
    random = Random(seed)
    report = Report(scenario_of(seed, items, faults))
    world, path = explorer.begin(report.scenario), []
    fair = random.randint(1, LUCKLESS_STEPS)
    for at in range(fair + FAIR_STEPS):
        possible = list(steps(world.actors, report.scenario))
        faulty = [step for step in possible if step.fault or step.lost]
        # A fault about once in so many steps that the path has them all.
        unlucky = at < fair and faulty and random.random() < 2 * faults / fair
        step = random.choice(faulty) if unlucky else random.choice([step for step in possible if not step.fault])
        world, report.problem = _step(explorer, world, step, bool(unlucky), report)
        report.transitions += 1
        path.append(step.words + (", answer lost" if unlucky and step.lost else ""))
        if report.problem or (at >= fair and ended(world.actors, world.view, report.scenario)):
            break
    else:
        report.problem = f"{FAIR_STEPS} fair steps have not led to the end"
    report.states, report.path = report.transitions, tuple(path) if report.problem else ()
    return report


def _step(explorer: Explorer, world: World, step: Step, unlucky: bool, report: Report) -> tuple[World, str]:
    if step.after:
        after = World(step.after, world.keys, world.view)
        return after, explorer.problem(after, report.scenario)
    assert step.run is not None
    ((after, problem),) = explorer.run(world, [step.run])
    if unlucky and step.lost:
        after = replace(after, actors=step.lost)
    return after, problem or explorer.problem(after, report.scenario)
