"""The explorer: walks every order of steps, breadth first, and reports the shortest path to what is wrong."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.model.actors import steps
from tests.model.calls import RecordingClient
from tests.model.canonical import Canonical
from tests.model.invariants import ended, violations
from tests.model.player import Player
from tests.model.product import Product
from tests.model.store import Snapshot
from tests.model.world import Actors, Scenario, World, first_actors

#: Of so many states, one begins with the loss of all scripts, as by a restart of the server. No state shows it.
FLUSH_EVERY = 97
#: States from which the steps are taken in the same round trips.
LOT = 32


@dataclass(slots=True)
class Report:
    """What an exploration saw. `path` leads to what is wrong."""

    scenario: Scenario
    states: int = 0
    transitions: int = 0
    complete: bool = True
    problem: str = ""
    path: tuple[str, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [
            f"{self.scenario.name}: {self.states:,} states, {self.transitions:,} transitions in {self.seconds:.1f} s"
            + ("" if self.complete else " (not all)")
        ]
        if self.problem:
            lines += [f"  {self.problem}, after {len(self.path)} steps:", *(f"    {words}" for words in self.path)]
        return "\n".join(lines)


@dataclass(slots=True)
class Graph:
    """The states that were reached: how each was reached first, and what follows it without a fault."""

    parents: list[tuple[int, str]] = field(default_factory=list)
    before: list[list[int]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    number: dict[int, int] = field(default_factory=dict)

    def add(self, key: int, parent: int, words: str) -> int:
        number = self.number[key] = len(self.parents)
        self.parents.append((parent, words))
        self.before.append([])
        return number

    def path(self, number: int) -> tuple[str, ...]:
        words = []
        while number:
            number, step = self.parents[number]
            words.append(step)
        return tuple(reversed(words))

    def stuck(self, unexplored: Iterator[int]) -> int | None:
        """The first state from which no steps without a fault lead to the end."""
        reached = {*self.ended, *unexplored}
        waiting = list(reached)
        while waiting:
            for number in self.before[waiting.pop()]:
                if number not in reached:
                    reached.add(number)
                    waiting.append(number)
        return next((number for number in range(len(self.parents)) if number not in reached), None)


class After(NamedTuple):
    """What may follow a state: the words of a step, whether it is a fault, the state after it, what failed in it."""

    words: str
    fault: bool
    world: World
    failure: str


class Explorer:
    """Explores scenarios on one server, which it empties."""

    def __init__(self, client: RecordingClient) -> None:
        self.client, self.player, self.canonical = client, Player(client), Canonical()

    def explore(self, scenario: Scenario, most_states: int = 0, most_seconds: float = 0) -> Report:
        """Walk all orders of steps; stop at the first violation, or after `most_states` or `most_seconds`, if not 0."""
        report, graph, start = Report(scenario), Graph(), time.monotonic()
        first = self.begin(scenario)
        graph.add(self.canonical.number(first.actors, first.snapshot), 0, "")
        frontier: deque[tuple[int, World]] = deque([(0, first)])
        while frontier and not report.problem:
            if (most_states and len(graph.parents) >= most_states) or (most_seconds and report.seconds > most_seconds):
                report.complete = False
                break
            lot = self._lot(frontier)
            for (number, world), following in zip(lot, self._following(lot, scenario), strict=True):
                self._note(number, world, following, report, graph, frontier)
                if report.problem:
                    break
            report.seconds = time.monotonic() - start
        report.states = len(graph.parents)
        if not report.problem and (stuck := graph.stuck(number for number, _ in frontier)) is not None:
            report.problem, report.path = "no way leads to the end", graph.path(stuck)
        return report

    def begin(self, scenario: Scenario) -> World:
        """The first state, on an emptied server."""
        actors = first_actors(scenario)
        self.client.send([(("FLUSHDB",), {})])
        self.player.store.forget()
        workers = actors.workers if scenario.items_run else ()

        def join(product: Product) -> Actors:
            for worker in workers:
                product.heartbeat(worker.name, [])
            return actors

        (((after, _),),) = self.player.play([(World(actors, Snapshot()), [join])], flush=True)
        return after

    def _lot(self, frontier: deque[tuple[int, World]]) -> list[tuple[int, World]]:
        """The next states to go on from; only the last one may be without scripts."""
        lot: list[tuple[int, World]] = []
        while frontier and len(lot) < LOT:
            lot.append(frontier.popleft())
            if lot[-1][0] % FLUSH_EVERY == 0:
                break
        return lot

    def _following(self, lot: list[tuple[int, World]], scenario: Scenario) -> Iterator[list[After]]:
        """What may follow each of the states."""
        possible = [list(steps(world.actors, scenario)) for _, world in lot]
        plays = [
            (world, [step.run for step in every if step.run]) for (_, world), every in zip(lot, possible, strict=True)
        ]
        played = self.player.play(plays, flush=lot[-1][0] % FLUSH_EVERY == 0)
        for (_, world), every, results in zip(lot, possible, map(iter, played), strict=True):
            following = []
            for step in every:
                after, failure = (World(step.after, world.snapshot), "") if step.after else next(results)
                following.append(After(step.words, step.fault, after, failure))
                if step.lost:
                    lost = World(step.lost, after.snapshot)
                    following.append(After(f"{step.words}, answer lost", True, lost, ""))
            yield following

    def _note(
        self,
        number: int,
        world: World,
        every: list[After],
        report: Report,
        graph: Graph,
        frontier: deque[tuple[int, World]],
    ) -> None:
        """Enter what follows a state, up to the first thing that is wrong."""
        for words, fault, after, failure in every:
            report.transitions += 1
            if after.snapshot is world.snapshot and after.actors == world.actors and not failure:
                continue
            key = self.canonical.number(after.actors, after.snapshot)
            following, problem = graph.number.get(key), failure
            if following is None:
                # Only a new state is looked at: in one that behaves alike the same things are wrong.
                problem = problem or self.problem(after, report.scenario)
                following = graph.add(key, number, words)
                frontier.append((following, after))
                if ended(after.actors, after.view, report.scenario):
                    graph.ended.append(following)
            if problem:
                report.problem, report.path = problem, (*graph.path(number), words)
                return
            if not fault:
                graph.before[following].append(number)

    def problem(self, world: World, scenario: Scenario) -> str:
        """What is wrong in a state; empty if nothing is."""
        return next(violations(world.actors, world.view, scenario), "")
