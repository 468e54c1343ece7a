"""Plays steps: many at a time, each from its own state of the server, in as many round trips as a step has calls."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from redis.exceptions import ResponseError

from gristmill.errors import GristmillError
from tests.model.actors import Act
from tests.model.calls import Command, RecordingClient, Unanswered
from tests.model.memory import Calls, Memory
from tests.model.product import Product
from tests.model.script_texts import CLOCK, PREFIX, TEAR
from tests.model.store import Change, Keys, Store, changed
from tests.model.world import Actors, World

#: The state after a step, and what failed in it.
Result = tuple[World, str]


@dataclass(slots=True)
class Play:
    """A step from a state: which of its calls were answered so far, which one is next, and what came of them.

    `remembers` says whether its answers are those that the same calls have from the same keys at any time.
    """

    world: World
    act: Act
    remembers: bool
    #: The keys, the time, and after how many writes a script breaks off, after the calls that were answered.
    keys: Keys
    now: int
    tear: int = 0
    commands: list[Command] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    #: Those that were not, as far as the step goes without their answers, and the actors at its end if it gets there.
    following: list[Command] = field(default_factory=list)
    actors: Actors | None = None
    result: Result | None = None

    @property
    def call(self) -> list[Command]:
        """The next call, behind what sets the explorer's own keys for it."""
        last = next((place for place, (args, _) in enumerate(self.following) if not _is_own(args)), None)
        return self.following if last is None else self.following[: last + 1]

    @property
    def may_recall(self) -> bool:
        """Whether the call has the answer that it had. One that loads a script is made: the server may lack it."""
        return self.remembers and self.call[-1][0][0] != "SCRIPT LOAD"

    @property
    def name(self) -> Hashable:
        """What the answer depends on, beside the keys: the explorer's own ones, and the call."""
        return self.now, self.tear, *(args for args, _ in self.call)

    @property
    def named(self) -> Iterator[str]:
        """The names of keys in the call itself."""
        return (word for args, _ in self.call for word in args if str(word).startswith(PREFIX))

    def go_on(self, calls: Calls) -> None:
        """Note what the call was answered, and what it changed."""
        call = self.call
        if any(isinstance(answer, Exception) for answer in calls.answers):
            # What was to follow was noted for another answer.
            self.following, self.actors = [], None
        self.following = self.following[len(call) :]
        self.commands += call
        self.answers += calls.answers
        self.changes += calls.changes
        own = {args[1]: args[2] for args, _ in call if _is_own(args)}
        self.now, self.tear = own.get(CLOCK, self.now), own.get(TEAR, self.tear)
        if calls.changes:
            self.keys = changed(self.keys, calls.changes)


class Player:
    """Takes steps on one server."""

    def __init__(self, client: RecordingClient) -> None:
        self.client, self.product, self.store, self.memory = client, Product(client), Store(), Memory()

    def play(self, lot: Sequence[tuple[World, Sequence[Act]]], flush: bool = False) -> list[list[Result]]:
        """The results of steps from several states; with `flush`, the last state's server has lost its scripts."""
        lossy = lot[-1][0] if flush else None
        rows = [
            [Play(world, act, world is not lossy, world.snapshot.keys, world.actors.now) for act in acts]
            for world, acts in lot
        ]
        while waiting := self._waiting(play for row in rows for play in row if not play.result):
            self._answer(waiting, lossy)
            lossy = None
        return [[play.result for play in row if play.result] for row in rows]

    def _waiting(self, plays: Iterable[Play]) -> list[Play]:
        """The steps whose calls must be made: of those that make the same call from the same keys the first one."""
        waiting: dict[Hashable, Play] = {}
        for play in plays:
            self._go_on(play)
            if not play.result:
                waiting.setdefault((id(play.keys), play.name) if play.remembers else id(play), play)
        return list(waiting.values())

    def _go_on(self, play: Play) -> None:
        """Take a step as far as its calls are answered, here or when they were made before."""
        while not play.result:
            while play.following:
                calls = self.memory.recall(play.name, play.keys) if play.may_recall else None
                if not calls:
                    return
                play.go_on(calls)
            if play.actors:
                play.result = self._after(play, play.actors), ""
            else:
                self._run(play)

    def _run(self, play: Play) -> None:
        """Run a step with the answers that are there: to its end, or to the first call that it needs the answer of."""
        self.client.replay(play.commands, play.answers)
        actors, failure = None, ""
        try:
            actors = play.act(self.product)
        except Unanswered:
            pass
        except (ResponseError, GristmillError, AssertionError) as error:
            failure = f"a call failed: {error!r}"
        if (actors or failure) and self.client.exact:
            play.result = self._after(play, actors or play.world.actors), failure
        else:
            play.following, play.actors = self.client.commands[len(play.commands) :], actors
            assert play.following, "a step that is repeated makes other calls"

    def _after(self, play: Play, actors: Actors) -> World:
        return World(actors, self.store.after(play.world.snapshot, play.changes))

    def _answer(self, plays: list[Play], lossy: World | None) -> None:
        """Make calls, each step's from its own state, in one round trip."""
        commands: list[Command] = []
        heads: list[int] = []
        for play in plays:
            head = self.store.write(play.keys, play.now)
            if play.tear:
                head.append((("SET", TEAR, play.tear), {}))
            if play.world is lossy:
                head.append((("SCRIPT", "FLUSH"), {}))
                lossy = None
            heads.append(len(head))
            commands += head
            commands += (*play.call, self.store.read())
        answers = iter(self.client.send(commands))
        for play, head in zip(plays, heads, strict=True):
            _raise_errors(islice(answers, head))
            own = list(islice(answers, len(play.call)))
            changes, names = self.store.changes(next(answers))
            failed = any(isinstance(answer, Exception) for answer in own)
            if not failed:
                touched = {*names, *play.named}
                # A large hash has another DUMP once it was put back, though nobody touched it.
                changes = [change for change in changes if change[0] in touched]
            calls = Calls(own, changes)
            # A script that was not loaded is loaded by now; one that broke off has not noted what it touched.
            if play.may_recall and not failed:
                self.memory.keep(play.name, play.keys, touched, calls)
            play.go_on(calls)


def _is_own(args: Sequence[Any]) -> bool:
    return args[0] == "SET" and args[1] in (CLOCK, TEAR)


def _raise_errors(answers: Iterable[object]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
