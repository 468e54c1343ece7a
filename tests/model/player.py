"""Plays steps: many at a time, each from its own state of the server, in as many round trips as a step has calls."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from redis.exceptions import ResponseError

from gristmill.errors import GristmillError
from tests.model.actors import Act
from tests.model.calls import Command, RecordingClient, Unanswered
from tests.model.memory import Calls, Memory
from tests.model.product import Product
from tests.model.script_texts import PREFIX
from tests.model.store import Store
from tests.model.world import World

#: The state after a step, and what failed in it.
Result = tuple[World, str]


@dataclass(slots=True)
class Play:
    """A step from a state: which of its calls were answered so far, which ones it makes, and what came of it.

    `remembers` says whether its answers are those that the same calls have from the same keys at any time.
    """

    world: World
    act: Act
    remembers: bool
    calls: Calls = field(default_factory=lambda: Calls([], [], []))
    commands: list[Command] = field(default_factory=list)
    result: Result | None = None

    @property
    def may_recall(self) -> bool:
        """Whether its calls have the answers that they had. One that loads a script is made: the server may lack it."""
        return self.remembers and all(args[0] != "SCRIPT LOAD" for args, _ in self.commands)

    @property
    def name(self) -> Hashable:
        """What the answers depend on, beside the keys: the time and the calls."""
        return self.world.actors.now, *(args for args, _ in self.commands)

    @property
    def named(self) -> Iterator[str]:
        """The names of keys in the calls themselves."""
        return (word for args, _ in self.commands for word in args if str(word).startswith(PREFIX))


class Player:
    """Takes steps on one server."""

    def __init__(self, client: RecordingClient) -> None:
        self.client, self.product, self.store, self.memory = client, Product(client), Store(), Memory()

    def play(self, lot: Sequence[tuple[World, Sequence[Act]]], flush: bool = False) -> list[list[Result]]:
        """The results of steps from several states; with `flush`, the last state's server has lost its scripts."""
        lossy = lot[-1][0] if flush else None
        rows = [[Play(world, act, world is not lossy) for act in acts] for world, acts in lot]
        while waiting := self._waiting(play for row in rows for play in row if not play.result):
            self._answer(waiting, lossy)
            lossy = None
        return [[play.result for play in row if play.result] for row in rows]

    def _waiting(self, plays: Iterable[Play]) -> list[Play]:
        """The steps whose calls must be made: of those that make the same calls from the same keys the first one."""
        waiting: dict[Hashable, Play] = {}
        for play in plays:
            self._go_on(play)
            if not play.result:
                waiting.setdefault((play.world.snapshot, play.name) if play.remembers else id(play), play)
        return list(waiting.values())

    def _go_on(self, play: Play) -> None:
        """Take a step as far as its calls are answered, here or when they were made before."""
        while True:
            self.client.replay(play.calls.commands, play.calls.answers)
            before, failure = play.world.actors, ""
            try:
                actors = play.act(self.product)
            except Unanswered:
                actors = None
            except (ResponseError, GristmillError, AssertionError) as error:
                actors, failure = before, f"a call failed: {error!r}"
            play.commands = self.client.commands
            if actors and self.client.exact:
                play.result = World(actors, self.store.after(play.world.snapshot, play.calls.changes)), failure
                return
            calls = self.memory.recall(play.name, play.world.snapshot.keys) if play.may_recall else None
            if not calls:
                return
            play.calls = calls

    def _answer(self, plays: list[Play], lossy: World | None) -> None:
        """Make calls, each step's from its own state, in one round trip."""
        commands: list[Command] = []
        heads: list[int] = []
        world = None
        for play in plays:
            before = len(commands)
            if play.world is not world:
                world = play.world
                commands.append(self.store.write(world.snapshot, world.actors.now))
                commands += [(("SCRIPT", "FLUSH"), {})] if world is lossy else []
            heads.append(len(commands) - before)
            commands += (*play.commands, self.store.read())
        answers = iter(self.client.send(commands))
        for play, head in zip(plays, heads, strict=True):
            _raise_errors(islice(answers, head))
            own = list(islice(answers, len(play.commands)))
            changes, names = self.store.changes(next(answers))
            failed = any(isinstance(answer, Exception) for answer in own)
            if not failed:
                touched = {*names, *play.named}
                # A large hash has another DUMP once it was put back, though nobody touched it.
                changes = [change for change in changes if change[0] in touched]
            play.calls = Calls(play.commands, own, changes)
            # A script that was not loaded is loaded by now; one that broke off has not noted what it touched.
            if play.may_recall and not failed:
                self.memory.keep(play.name, play.world.snapshot.keys, touched, play.calls)


def _raise_errors(answers: Iterable[object]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
