"""The load: a producer, workers, an operator and a sender of plain messages, each a thread that calls the server.

They are the product's own objects without processes around them, so that a cut takes no more than a second.
"""

import json
import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from benchmarks.chaos.power.facts import BatchFacts, Facts, message_of
from gristmill.batches.chunk import Chunk, Item, Outcome
from gristmill.batches.control import Control
from gristmill.batches.feed import AlreadyFeeding
from gristmill.batches.ledger import Ledger
from gristmill.broker.scripts import TransportScripts
from gristmill.config.settings import load
from gristmill.errors import BatchCancelled, InputError
from gristmill.server.waiting import ONCE, Patience

QUEUE, PLAIN = "cpu", "plain"
FIELDS = {
    "task": "fibonacci",
    "queue": QUEUE,
    "parameter": "n",
    "fixed": "{}",
    "fingerprint": "f",
    "retries": 1,
    "retry_seconds": 0,
    "chunk_seconds": 0.02,
    "submitted_by": "chaos",
    "priority": 4,
}
#: Live batches at a time, items of a batch and of a block, slots of a worker.
BATCHES, ITEMS, BLOCK, SLOTS = 4, (20, 200), (1, 40), 4
#: Milliseconds of silence after which a worker is dead.
SILENT_MS = 1500
#: Seconds that an item takes, as far as the ledger hears.
ITEM_SECONDS = 0.001


class Actor:
    """One thread of the load; `step` is one thing that it does."""

    #: Whether it only brings to an end what is there.
    ending = False

    def __init__(self, url: str, facts: Facts, luck: random.Random) -> None:
        client: Any = Redis.from_url(url, decode_responses=True, retry=Patience(ONCE), socket_timeout=5)
        settings = load({})
        self.client, self.facts, self.luck = client, facts, luck
        self.ledger, self.control = Ledger(client, settings), Control(client, settings)
        self.scripts = TransportScripts(client, settings.prefix)

    def step(self) -> None:
        """Do one thing.

        Raises:
            RedisError: the server is away.
        """
        raise NotImplementedError

    def resume(self) -> None:
        """Go on after a cut."""

    def some_batch(self) -> BatchFacts | None:
        """One of the live batches, by chance."""
        live = [batch for batch in list(self.facts.batches.values()) if batch.created and not batch.deleting]
        return self.luck.choice(live) if live else None


class SubmittingActor(Actor):
    """Submits batch after batch; a call without an answer is repeated after the cut."""

    _number = 0

    def step(self) -> None:
        """Create a batch, store a block, or end the input."""
        unfinished = [batch for batch in self.facts.batches.values() if not batch.ended and not batch.deleting]
        if not unfinished:
            if self.ending or len(self.facts.batches) >= BATCHES:
                self.client.ping()
                return
            name = f"b{SubmittingActor._number}"
            SubmittingActor._number += 1
            unfinished = [self.facts.batches.setdefault(name, BatchFacts(name, self.luck.randint(*ITEMS)))]
        batch = unfinished[0]
        try:
            self._feed(batch)
        except BatchCancelled:
            batch.ended = batch.created = True
            batch.total = batch.stored
        except AlreadyFeeding:
            batch.created = False
        self.facts.answers += 1

    def _feed(self, batch: BatchFacts) -> None:
        if not batch.created:
            feed = self.ledger.create(batch.name, f"token-{batch.name}", FIELDS)
            batch.created, batch.stored, batch.ended = True, feed.stored, feed.input_ended
        elif batch.stored < batch.total:
            after = min(batch.total, batch.stored + self.luck.randint(*BLOCK))
            items = [str(index) for index in range(batch.stored, after)]
            self.ledger.append(batch.name, f"token-{batch.name}", batch.stored, items, f"sha{after}")
            batch.stored = after
        else:
            self.ledger.end(batch.name, f"token-{batch.name}", 0)
            batch.ended = True


class RunningActor(Actor):
    """Takes chunks and records outcomes. After a cut it repeats the record that had no answer, or is another worker."""

    def __init__(self, url: str, facts: Facts, luck: random.Random) -> None:
        super().__init__(url, facts, luck)
        self._unanswered: tuple[str, Chunk, list[Outcome]] | None = None
        self.name = ""
        self._steps = 0
        #: Whether nothing is pending in its name but what it knows of.
        self._is_sure = False

    def resume(self) -> None:
        """As a worker that lived through it, or as a new one."""
        self._is_sure = False
        if not self.name or self.luck.random() < 0.5:
            self.name, self._unanswered = f"host:1:{uuid.uuid4().hex[:8]}", None

    def step(self) -> None:
        """Run one chunk."""
        self._steps += 1
        if self._steps % 10 == 1:
            self.ledger.heartbeat(self.name, {"queue": QUEUE, "slots": SLOTS}, [])
            self.scripts.call("renew", consumer=self.name, queues=[QUEUE])
            self.scripts.call("reclaim", caller=self.name, silent=SILENT_MS, most=100, queues=[QUEUE])
        self._hand_back_unseen()
        if self._unanswered:
            self._record(*self._unanswered)
        _, _, flat = self.scripts.call("take", consumer=self.name, credit=1, create=True, queues=[QUEUE], tags=[])
        if not flat:
            self._retire()
            return
        tag, chunk = flat[0], _chunk_in(flat[1])
        work = self.ledger.take(chunk, self.name)
        if work is None:
            self.scripts.call("ack", consumer=self.name, tags=[tag])
            return
        outcomes = [self._outcome(item) for item in work.items]
        if self.luck.random() < 0.2 and len(outcomes) > 1:
            outcomes = outcomes[: len(outcomes) // 2]
        self._record(tag, chunk, outcomes)

    def _hand_back_unseen(self) -> None:
        """After a cut: what the server says that it has, and it never got, because the answer was lost."""
        if self._is_sure:
            return
        own = self._unanswered[0] if self._unanswered else ""
        pending = self.scripts.call("held", consumer=self.name, idle=0, queues=[QUEUE])
        if tags := [tag for tag in pending if tag != own]:
            self.scripts.call("back", consumer=self.name, suspicion=0, unseen=False, tags=tags)
        self._is_sure = True

    def _outcome(self, item: Item) -> Outcome:
        state = self.luck.choices(["succeeded", "failed", "dead"], [90, 8, 2])[0]
        again = state == "failed" and item.attempt - item.before <= 1
        error = '{"type": "ValueError", "message": "", "traceback": ""}'
        text = str(item.index) if state == "succeeded" else error
        retry_ms = 0 if again else None
        return Outcome(item.index, state, item.attempt, text, ITEM_SECONDS, self.name, 1, retry_ms=retry_ms)

    def _record(self, tag: str, chunk: Chunk, outcomes: list[Outcome]) -> None:
        self._unanswered = tag, chunk, outcomes
        rest = chunk.first + chunk.count - 1 - outcomes[-1].index if outcomes else 0
        facts = self.facts.batches.get(chunk.batch)
        with facts.lock if facts else threading.Lock():
            duplicates = self.ledger.record(chunk, outcomes, ITEM_SECONDS * len(outcomes), self.name, rest)
            if facts and not duplicates:
                facts.outcomes.update({o.index: (o.state, o.attempt) for o in outcomes if o.retry_ms is None})
        self._unanswered = None
        self.facts.answers += 1
        self.scripts.call("ack", consumer=self.name, tags=[tag])

    def _retire(self) -> None:
        """Nothing to do: heartbeats only."""
        self.ledger.heartbeat(self.name, {"queue": QUEUE, "slots": SLOTS}, [])


class ControllingActor(Actor):
    """Pauses, resumes, cancels, retries and deletes batches, and has the server rewrite its AOF."""

    #: Called with each batch that has finished, before it is deleted.
    on_finished: Callable[[BatchFacts], None] = staticmethod(lambda _: None)

    def step(self) -> None:
        """One control, of some batch."""
        batch = self.some_batch()
        if batch is None:
            self.client.ping()
            return
        fields = self.ledger.state(batch.name)
        if "finished" in fields and batch.ended and (self.ending or self.luck.random() < 0.3):
            self._delete(batch)
        elif self.ending or batch.paused is None or batch.paused:
            self._pause(batch, paused=False)
        else:
            kind = self.luck.choices(["pause", "retry", "cancel", "rewrite", "look"], [20, 15, 1, 3, 60])[0]
            {
                "pause": lambda: self._pause(batch, paused=True),
                "retry": lambda: self._retry(batch),
                "cancel": lambda: self._cancel(batch),
                "rewrite": self._rewrite,
                "look": self.client.ping,
            }[kind]()
        self.facts.answers += 1

    def _rewrite(self) -> None:
        try:
            self.client.bgrewriteaof()
        except RedisError as error:
            if "in progress" not in str(error):
                raise

    def _pause(self, batch: BatchFacts, *, paused: bool) -> None:
        batch.paused = None
        done = (self.control.pause if paused else self.control.resume)(batch.name)
        # Another answer: it has ended, or was so already.
        batch.paused = paused if done else None if paused else False

    def _retry(self, batch: BatchFacts) -> None:
        # One that goes on was not cancelled in vain, and is so no more.
        batch.cancelled = False
        with batch.lock:
            bad = {index: outcome for index, outcome in batch.outcomes.items() if outcome[0] != "succeeded"}
            for index in bad:
                del batch.outcomes[index]
            try:
                number = self.control.retry(batch.name)
            except InputError:
                number = 0
            if number:
                batch.void.update({index: attempt for index, (_, attempt) in bad.items()})
            else:
                batch.outcomes.update(bad)

    def _cancel(self, batch: BatchFacts) -> None:
        if self.control.cancel(batch.name, "chaos") is not None:
            batch.cancelled, batch.paused = True, None

    def _delete(self, batch: BatchFacts) -> None:
        self.on_finished(batch)
        batch.deleting = True
        self.ledger.delete(batch.name)
        self.facts.batches.pop(batch.name, None)


class SendingActor(Actor):
    """Puts plain messages, a few at a time, and acknowledges some."""

    def __init__(self, url: str, facts: Facts, luck: random.Random) -> None:
        super().__init__(url, facts, luck)
        self._number, self._lots, self.name = 0, 0, f"plain:1:{uuid.uuid4().hex[:8]}"

    def step(self) -> None:
        """Put a lot, or take and acknowledge one message."""
        if self.luck.random() < 0.5:
            numbers = range(self._number, self._number + self.luck.randint(1, 5))
            self._number = numbers.stop
            messages = [message_of(number) for number in numbers]
            self._lots += 1
            self.scripts.call(
                "put", queue=PLAIN, level=0, wait=0, sender=self.name, number=self._lots, messages=messages
            )
            self.facts.messages.update(numbers)
            self.facts.answers += 1
            return
        _, _, flat = self.scripts.call("take", consumer=self.name, credit=1, create=True, queues=[PLAIN], tags=[])
        if flat and self.luck.random() < 0.8:
            tag, text = flat[:2]
            self.facts.done.add(int(json.loads(text)["headers"]["id"]))
            self.scripts.call("ack", consumer=self.name, tags=[tag])


def _chunk_in(text: str) -> Chunk:
    _, batch, epoch, first, count, *_ = json.loads(json.loads(text)["body"])[0]
    return Chunk(batch, epoch, first, count)
