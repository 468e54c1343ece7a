"""A schedule: what workers do with one that is due, how time passes, and what holds of it in every state."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gristmill.batches.schedules import Draft, Due, definition
from gristmill.batches.timetable import Timetable, run_name
from tests.model.product import EVERY_MS, SCHEDULE, START, Product
from tests.model.step import Act, Step
from tests.model.store import View
from tests.model.world import Actors, Scenario, Worker

TIMETABLE = Timetable.of_every(EVERY_MS / 1000, START)
#: For so long nobody may look before it is an outage; an outage that is one.
AWAY_MS, OUTAGE_MS = 10_000, 4 * EVERY_MS


def plan(product: Product, scenario: Scenario) -> None:
    """Make the schedule; a worker has looked before."""
    missed, overlap = scenario.schedule
    fields = definition(TIMETABLE, missed, overlap, product.fields(0))
    draft = Draft(product.client, product.ledger.settings, fields, START + EVERY_MS)
    draft.append(SCHEDULE, "draft", 0, ["0"], "sha")
    draft.end(SCHEDULE, "draft", 0)
    product.schedules.look()


def calls(actors: Actors) -> Iterator[tuple[str, Act, Actors | None]]:
    """The calls of workers: they look, and fire what they saw; and runs end."""
    looked = replace(actors, looked=actors.now)
    for worker in actors.workers:
        look = lambda product, worker=worker: looked.with_worker(_look(product, worker))  # noqa: E731
        fire = lambda product, worker=worker: actors.with_worker(_fire(product, worker))  # noqa: E731
        if worker.at == "fire":
            yield f"{worker.slot}: fire", fire, actors
        else:
            yield f"{worker.slot}: look", look, looked
    yield "the last run ends", lambda product: _end_run(actors, product), None


def others(actors: Actors, scenario: Scenario) -> Iterator[Step]:
    """Time passes: from one time of the schedule to the next, or, as a fault, so much that times are missed."""
    end = START + scenario.moments * EVERY_MS
    if not actors.have_input:
        return
    if actors.now + EVERY_MS <= min(end, actors.looked + AWAY_MS):
        yield Step("time passes", lambda product: _pass(actors, EVERY_MS, product))
    if "outage" in scenario.kinds and actors.faults and not any(actors.outage) and actors.now + OUTAGE_MS <= end:
        faults = actors.faults - 1
        yield Step("nobody looks for long", lambda product: _go_away(replace(actors, faults=faults), product), True)


def _pass(actors: Actors, ms: int, product: Product) -> Actors:
    product.set_clock(actors.now + ms)
    return replace(actors, now=actors.now + ms)


def _go_away(actors: Actors, product: Product) -> Actors:
    fired: Any = product.client.hget(_state_key(product), "last_due")
    late = (actors.looked - int(fired or START)) // EVERY_MS
    away = replace(actors, outage=(actors.looked, actors.now + OUTAGE_MS, late))
    return _pass(away, OUTAGE_MS, product)


def _state_key(product: Product) -> str:
    return product.ledger.settings.key(f"schedule:{SCHEDULE}:state")


def _look(product: Product, worker: Worker) -> Worker:
    now, _, dues = product.schedules.look()
    if not dues:
        return worker.idle()
    return worker.idle(at="fire", read=(dues[0].id, dues[0].due, now))


def _fire(product: Product, worker: Worker) -> Worker:
    identity, due, now = worker.read
    product.schedules.fire(Due(SCHEDULE, identity, due, TIMETABLE), now)
    return worker.idle()


def _end_run(actors: Actors, product: Product) -> Actors:
    last: Any = product.client.hget(_state_key(product), "last_batch")
    if last:
        product.begin_action(f"end {last}")
        product.control.cancel(last, "why")
    return actors


def ended(actors: Actors, view: View, scenario: Scenario) -> bool:
    """Whether the time is up, and whatever was due by then was looked at."""
    state = view.get(f"schedule:{SCHEDULE}:state", {})
    over = actors.now == START + scenario.moments * EVERY_MS and not actors.operator
    return over and "next" in state and (int(state["next"]) > actors.now or "paused" in state)


def violations(actors: Actors, view: View, scenario: Scenario) -> Iterator[str]:
    """Each time has one batch, or a reason to have none."""
    state = view.get(f"schedule:{SCHEDULE}:state")
    if not state:
        return
    runs = {name[len("batch:") : -len(":state")]: each for name, each in view.items() if _is_run(name)}
    if int(state.get("runs", 0)) != len(runs):
        yield f"the schedule counts {state.get('runs', 0)} runs, and {len(runs)} batches were made"
    if any("input_ended" not in each or each["stored"] != "1" for each in runs.values()):
        yield "a run lacks its items"
    unfinished = [name for name, each in runs.items() if "finished" not in each]
    if len(unfinished) > 1 + ("run schedule" in scenario.operator):
        yield f"{unfinished} run at once"
    yield from _times(actors, state, {_due_of(name) for name in runs}, scenario)


def _times(actors: Actors, state: dict[str, str], runs: set[int], scenario: Scenario) -> Iterator[str]:
    """What became of the times that have passed."""
    last, (since, until, late) = int(state.get("last_due", 0)), actors.outage
    passed = set(range(START + EVERY_MS, last + 1, EVERY_MS))
    missed = {due for due in passed | runs if since < due <= until}
    answers = runs & missed
    if len(answers) > (scenario.schedule[0] == "once"):
        yield f"{len(answers)} batches answer an outage"
    if scenario.operator:
        return
    # What somebody has seen before the outage, and has not fired, is fired, or missed with the others. So is what comes
    # until the outage is answered.
    expected, answers = len(passed - missed) + bool(missed), len(runs) + int(state.get("left_out", 0))
    merged = late + AWAY_MS // EVERY_MS if missed else 0
    if scenario.schedule[1] == "skip" and not expected - merged <= answers <= expected:
        yield f"{len(runs)} of {expected} times have a batch, and {answers} a batch or a reason to have none"


def _is_run(name: str) -> bool:
    return name.startswith(f"batch:{SCHEDULE}-") and name.endswith(":state")


def _due_of(run: str) -> int:
    moment = datetime.strptime(run.removeprefix(f"{SCHEDULE}-"), "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    due = round(1000 * moment.timestamp())
    assert run_name(SCHEDULE, due) == run
    return due
