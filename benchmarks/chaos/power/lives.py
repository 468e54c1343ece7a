"""The lives of what Gristmill keeps on a server, step by step: batches, those that follow them, schedules, messages.

Each comes to its end from wherever a step was interrupted.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar

from benchmarks.chaos.power.facts import message_of
from benchmarks.chaos.power.load import FIELDS, QUEUE
from benchmarks.chaos.wire import numbers
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.control import Control
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.repair import Repair
from gristmill.batches.schedules import Draft, Schedules, definition
from gristmill.batches.timetable import Timetable
from gristmill.broker.dead_letters import DeadLetters
from gristmill.broker.scripts import TransportScripts
from gristmill.config.settings import load
from gristmill.errors import BatchCancelled, InputError
from gristmill.server.waiting import Deadline

NAME, WORKER, ITEMS = "torn", "cpu@here", 8
#: Seconds after which a batch hangs. Workers look again at what was cut short within 3 seconds.
ENDING = 15


class Life:
    """One life on the server of `client`, which answers in text. Each name in `steps` is that of a method.

    `begin` is done before the first step, and not torn. `ends` is called on whatever an interrupted step has left.
    """

    steps: ClassVar[tuple[str, ...]] = ()
    #: Whether the item of index 0 fails when it runs for the first time.
    one_fails = False
    #: Whether nothing may be there twice. A script of which a part was applied is repeated, or goes on.
    once = True

    def __init__(self, client: Any) -> None:
        self.client, self.settings = client, load({})
        self.ledger, self.control = Ledger(client, self.settings), Control(client, self.settings)
        self.scripts = TransportScripts(client, self.settings.prefix)

    def begin(self) -> None:
        """Make what the steps need."""

    def ends(self) -> bool:
        """Repeat the call that had no answer, and go on to the end; whether nothing is missing there."""
        raise NotImplementedError

    def feed(self, name: str, **fields: Any) -> None:
        """Create a batch and store its items, or what is missing of them."""
        with suppress(BatchCancelled):
            feed = self.ledger.create(name, "token", {**FIELDS, **fields})
            if feed.input_ended or "from_batch" in fields:
                return
            if feed.stored < ITEMS:
                items = [str(index) for index in range(feed.stored, ITEMS)]
                self.ledger.append(name, "token", feed.stored, items, "sha")
            self.ledger.end(name, "token", 0)

    def run(self, name: str) -> None:
        """Run the first chunk in flight of a batch."""
        for first, count in self._in_flight(name):
            chunk = Chunk(name, int(self.ledger.state(name)["epoch"]), first, count)
            if not (work := self.ledger.take(chunk, WORKER)):
                return
            outcomes = [
                Outcome(item.index, self._state(item.index, item.attempt), item.attempt, "1", 0.1, WORKER, 1)
                for item in work.items
            ]
            self.ledger.record(chunk, outcomes, 0.1, WORKER)
            return

    def _state(self, index: int, attempt: int) -> str:
        return "failed" if self.one_fails and index == 0 and attempt == 1 else "succeeded"

    def _in_flight(self, name: str) -> Iterator[tuple[int, int]]:
        for entry in self.client.zrange(self.ledger.key(name, "in_flight"), 0, 0):
            first, count = map(int, entry.split(":"))
            yield first, count

    def mend(self) -> None:
        """Mend all batches, as `doctor --repair` does."""
        repair = Repair(self.client, self.settings)
        for name in repair.names():
            repair.mend(name)
        repair.queues([QUEUE], mend=True)

    def all_end(self, *names: str) -> bool:
        """Run batches to their ends, or for ENDING seconds; whether each has every item there."""
        for name in names:
            self.control.resume(name)
        deadline = Deadline(ENDING)
        while not deadline.over:
            infos = [info for info in self.ledger.infos(names) if info]
            if len(infos) == len(names) and all(info.finished for info in infos):
                return all(self._is_whole(info) for info in infos)
            self.ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
            for name in names:
                self.run(name)
            time.sleep(0.002)
        return False

    def _is_whole(self, info: BatchInfo) -> bool:
        done = info.succeeded + info.failed + info.cancelled + info.dead
        return info.submitted == ITEMS == done == self.client.bitcount(self.ledger.key(info.name, "done"))


class BatchLife(Life):
    """A batch from its creation to its end, which is cancelled and goes on."""

    steps = ("create", "append", "end", "take", "record", "pause", "resume", "cancel", "retry")
    one_fails = True

    def create(self) -> None:
        self.ledger.create(NAME, "token", FIELDS)

    def append(self) -> None:
        self.ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
        self.ledger.append(NAME, "token", 0, [str(index) for index in range(ITEMS)], "sha")

    def end(self) -> None:
        self.ledger.end(NAME, "token", 0)

    def take(self) -> None:
        [(first, count)] = self._in_flight(NAME)
        self.ledger.take(Chunk(NAME, int(self.ledger.state(NAME)["epoch"]), first, count), WORKER)

    def record(self) -> None:
        self.run(NAME)

    def pause(self) -> None:
        self.control.pause(NAME)

    def resume(self) -> None:
        self.control.resume(NAME)

    def cancel(self) -> None:
        self.control.cancel(NAME, "torn")

    def retry(self) -> None:
        """Once what runs has ended."""
        self.all_end(NAME)
        self.control.retry(NAME, cancelled=True)

    def ends(self) -> bool:
        """The batch ends with every item."""
        self.mend()
        self.feed(NAME)
        return self.all_end(NAME)


class FollowingLife(Life):
    """A batch that waits for another one's end, and one whose items are that one's values."""

    steps = ("link", "source", "finish")

    def begin(self) -> None:
        """The batch that both follow."""
        self.ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
        self.feed(NAME)

    def link(self) -> None:
        self.feed("next", after=f"{NAME}:ended")

    def source(self) -> None:
        self.feed("taker", from_batch=NAME, from_states="succeeded")

    def finish(self) -> None:
        """The batch that both follow comes to its end."""
        self.all_end(NAME)

    def ends(self) -> bool:
        """All three end with every item."""
        self.mend()
        self.link()
        self.source()
        return self.all_end(NAME, "next", "taker")


class ScheduleLife(Life):
    """A schedule, which makes one batch."""

    steps = ("make", "fire", "pause_schedule", "resume_schedule", "delete_schedule")

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.schedules = Schedules(client, self.settings)

    def make(self) -> None:
        now = self.schedules.now()
        about = definition(Timetable.of_every(3600, now), "once", "skip", FIELDS)
        draft = Draft(self.client, self.settings, about, now)
        draft.append(NAME, "token", 0, [str(index) for index in range(ITEMS)], "sha")
        draft.end(NAME, "token", 0)

    def fire(self) -> None:
        self.ledger.heartbeat(WORKER, {"queue": QUEUE, "slots": 2}, [])
        now, _, due = self.schedules.look()
        for each in due:
            self.schedules.fire(each, now)

    def pause_schedule(self) -> None:
        self.schedules.pause(NAME)

    def resume_schedule(self) -> None:
        self.schedules.resume(NAME)

    def delete_schedule(self) -> None:
        self.schedules.delete(NAME)

    def ends(self) -> bool:
        """There is one batch, which ends with every item."""
        self.mend()
        if not self.ledger.names():
            with suppress(InputError):
                self.make()
        with suppress(InputError):
            self.resume_schedule()
        self.fire()
        names = self.ledger.names()
        return len(names) == 1 and self.all_end(*names)


class MessageLife(Life):
    """Plain messages: put, put for later, taken, acknowledged, handed back, made dead letters and requeued."""

    steps = ("put", "delay", "wake", "deliver", "ack", "back", "postpone", "bury", "requeue")
    queue, messages, delayed = "plain", range(6), range(6, 8)

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._tags: list[str] = []

    def put(self) -> None:
        self._put(self.messages, 1, 0)

    def delay(self) -> None:
        self._put(self.delayed, 2, 1)

    def _put(self, which: range, lot: int, wait: int) -> None:
        texts = [message_of(number) for number in which]
        self.scripts.call("put", queue=self.queue, level=0, wait=wait, sender="sender", number=lot, messages=texts)

    def wake(self) -> None:
        while self.scripts.call("wake", queues=[self.queue]) >= 0:
            pass

    def deliver(self) -> None:
        self._tags = [tag for tag, _ in self._take()]

    def _take(self) -> list[tuple[str, str]]:
        _, _, flat = self.scripts.call("take", consumer=WORKER, credit=50, create=True, queues=[self.queue], tags=[])
        return list(zip(flat[::5], flat[1::5], strict=True))

    def ack(self) -> None:
        """The first message."""
        self.scripts.call("ack", consumer=WORKER, tags=self._tags[:1])

    def back(self) -> None:
        self.scripts.call("back", consumer=WORKER, suspicion=1, unseen=False, tags=self._tags[1:3])

    def postpone(self) -> None:
        self.scripts.call("postpone", consumer=WORKER, wait=1, most=1, unseen=False, tags=self._tags[3:5])

    def bury(self) -> None:
        about = {"limit": 1 << 20, "wait": 1, "reason": "torn", "deaths": 0}
        self.scripts.call("bury", consumer=WORKER, tag=self._tags[5], **about)

    def requeue(self) -> None:
        DeadLetters(self.client, self.settings).requeue_all()

    def ends(self) -> bool:
        """Each message is there, but for the first one, which somebody may have acknowledged."""
        tags = self.scripts.call("held", consumer=WORKER, idle=0, queues=[self.queue])
        self.scripts.call("back", consumer=WORKER, suspicion=0, unseen=False, tags=tags)
        self.requeue()
        there = self._take_numbers()
        for lot in ((self.messages, 1, 0), (self.delayed, 2, 1)):
            if {*lot[0]} - {*there} - {0}:
                # Its sender has had no answer, and repeats all of it.
                self._put(*lot)
                there += self._take_numbers()
        is_once = len(there) == len({*there})
        return {*there} >= {*self.messages[1:], *self.delayed} and (is_once or not self.once)

    def _take_numbers(self) -> list[int]:
        self.wake()
        return [number for _, text in self._take() for number in numbers([text.encode()])]


LIVES: tuple[type[Life], ...] = (BatchLife, FollowingLife, ScheduleLife, MessageLife)
#: The life that has each step.
LIFE_OF = {step: life for life in LIVES for step in life.steps}
