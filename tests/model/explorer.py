"""The explorer: walks every order of steps, breadth first, and reports the shortest path to what is wrong."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import ResponseError

from gristmill.errors import GristmillError
from tests.model.actors import Act, steps
from tests.model.calls import Command, RecordingClient, Unanswered
from tests.model.canonical import Canonical
from tests.model.invariants import ended, violations
from tests.model.product import Product
from tests.model.store import Store
from tests.model.world import Actors, Scenario, World, first_actors

#: Of so many states, one begins with the loss of all scripts, as by a restart of the server. No state shows it.
FLUSH_EVERY = 97


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


class Explorer:
    """Explores scenarios on one server, which it empties."""

    def __init__(self, client: RecordingClient) -> None:
        self.client, self.product, self.store = client, Product(client), Store()
        self.canonical = Canonical()

    def explore(self, scenario: Scenario, most_states: int = 0, most_seconds: float = 0) -> Report:
        """Walk all orders of steps; stop at the first violation, or after `most_states` or `most_seconds`, if not 0."""
        report, graph, start = Report(scenario), Graph(), time.monotonic()
        first = self.begin(scenario)
        graph.add(self.canonical.number(first.actors, first.keys, first.view), 0, "")
        frontier: deque[tuple[int, World]] = deque([(0, first)])
        while frontier and not report.problem:
            if (most_states and len(graph.parents) >= most_states) or (most_seconds and report.seconds > most_seconds):
                report.complete = False
                break
            number, world = frontier.popleft()
            for words, fault, after in self._following(world, report, flush=number % FLUSH_EVERY == 0):
                if after.keys is world.keys and after.actors == world.actors and not report.problem:
                    continue
                key = self.canonical.number(after.actors, after.keys, after.view)
                following = graph.number.get(key)
                if following is None:
                    following = graph.add(key, number, words)
                    if report.problem:
                        report.path = graph.path(following)
                        break
                    frontier.append((following, after))
                    if ended(after.actors, after.view, scenario):
                        graph.ended.append(following)
                if not fault:
                    graph.before[following].append(number)
            report.seconds = time.monotonic() - start
        report.states = len(graph.parents)
        if not report.problem and (stuck := graph.stuck(number for number, _ in frontier)) is not None:
            report.problem, report.path = "no way leads to the end", graph.path(stuck)
        return report

    def begin(self, scenario: Scenario) -> World:
        """The first state, on an emptied server."""
        actors = first_actors(scenario)
        self.client.send([(("FLUSHDB",), {})])
        self.store.forget()
        workers = actors.workers if scenario.items else ()

        def join(product: Product) -> Actors:
            for worker in workers:
                product.heartbeat(worker.name, [])
            return actors

        (after,) = self.run(World(actors, {}, {}), [join], flush=True)
        return after[0]

    def _following(self, world: World, report: Report, flush: bool) -> Iterator[tuple[str, bool, World]]:
        """What may follow a state: the words of each step, whether it is a fault, and the state after it."""
        following = list(steps(world.actors, report.scenario))
        acts = [step.run for step in following if step.run]
        results = iter(self.run(world, acts, flush))
        for step in following:
            after, problem = (World(step.after, world.keys, world.view), "") if step.after else next(results)
            report.problem = report.problem or problem
            report.transitions += 1
            yield step.words, step.fault, self._checked(after, report, world)
            if step.lost and not report.problem:
                report.transitions += 1
                yield (
                    f"{step.words}, answer lost",
                    True,
                    self._checked(World(step.lost, after.keys, after.view), report, world),
                )

    def run(self, world: World, acts: list[Act], flush: bool = False) -> list[tuple[World, str]]:
        """The states after each of the steps, and what failed in it: in as many round trips as a step has calls."""
        results: dict[int, tuple[World, str]] = {}
        exchanges: list[tuple[list[Command], list[Any]]] = [([], []) for _ in acts]
        snapshots: dict[int, Any] = {}
        head = [self.store.write(world.keys, world.view, world.actors.now)]
        if flush:
            head.append((("SCRIPT", "FLUSH"), {}))
        while len(results) < len(acts):
            batch: list[Command] = []
            requests = []
            for place in [place for place in range(len(acts)) if place not in results]:
                self.client.replay(*exchanges[place])
                actors, problem = self._act(acts[place], world.actors)
                if actors and self.client.exact and place in snapshots:
                    results[place] = World(actors, *self.store.values(snapshots[place])), problem
                else:
                    requests.append((place, self.client.commands))
                    batch += (*self.client.commands, self.store.read())
            if requests:
                flat = self.client.send([*head, *batch])[len(head) :]
                for place, commands in requests:
                    exchanges[place], snapshots[place] = (commands, flat[: len(commands)]), flat[len(commands)]
                    flat = flat[len(commands) + 1 :]
                head = []
        return [results[place] for place in range(len(acts))]

    def _act(self, act: Act, before: Actors) -> tuple[Actors | None, str]:
        """The actors after a step, None if its calls are not all answered; and what failed."""
        try:
            return act(self.product), ""
        except Unanswered:
            return None, ""
        except (ResponseError, GristmillError, AssertionError) as error:
            return before, f"a call failed: {error!r}"

    def _checked(self, after: World, report: Report, before: World) -> World:
        if after.keys is not before.keys or after.actors != before.actors:
            report.problem = report.problem or self.problem(after, report.scenario)
        return after

    def problem(self, world: World, scenario: Scenario) -> str:
        """What is wrong in a state; empty if nothing is."""
        return next(violations(world.actors, world.view, scenario), "")
