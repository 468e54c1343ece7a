"""A workflow whose actors act in a random order, and fail: workers and producers die, answers are lost."""

import json
import random
from collections import Counter

from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.control import Control
from gristmill.batches.info import ENDED, BatchInfo, State
from gristmill.errors import BatchCancelled, InputError
from tests.support.ledger import FIELDS, WORKER, heartbeat, queue_key

#: How many of a hundred items fail at each attempt.
FAILING = 15


class WorkflowMachine:
    """`a` has `count` items, whose values are those of `b`; `c` begins when `b` has ended, `d` when it succeeded."""

    def __init__(self, ledger, seed: int, count: int, block: int = 20) -> None:
        self.ledger, self.random = ledger, random.Random(seed)
        self.control = Control(ledger.client, ledger.settings)
        self.count, self.runs = count, []
        ledger.heartbeat(WORKER, heartbeat(4), [])
        self.block, self.producers = block, 0
        self._begin_to_produce()
        ledger.create("b", "token", {**FIELDS, "from_batch": "a", "from_states": "succeeded", "retries": 1})
        self._submit("c", 2, block, after="b:ended")
        self._submit("d", 2, block, after="a:ended b")
        #: The operator's actions so far, by batch.
        self.acts: Counter[str] = Counter()

    def _submit(self, name, count, block, **fields):
        self.ledger.create(name, "token", {**FIELDS, **fields})
        for first in range(0, count, block):
            end = min(count, first + block)
            self.ledger.append(name, "token", first, [str(index) for index in range(first, end)], f"sha{end}")
        self.ledger.end(name, "token", 0)

    def _begin_to_produce(self) -> None:
        """A producer begins, or goes on where the one before it was killed."""
        # The claim of a killed producer is over by then.
        self.ledger.let_go("a", self._producer)
        self.producers += 1
        fields = {**FIELDS, "retries": 1, "retry_seconds": 0.001}
        feed = self.ledger.create("a", self._producer, fields)
        self.stored, self.ended = feed.stored, feed.input_ended

    @property
    def _producer(self) -> str:
        return f"producer{self.producers}"

    def _produce(self) -> None:
        """Store the next items of `a`, or the end of them; or the producer is killed."""
        if self.ended:
            return
        try:
            if self.random.random() < 0.1:
                self._begin_to_produce()
            after = min(self.count, self.stored + self.random.randint(1, self.block))
            items = [str(index) for index in range(self.stored, after)]
            # An answer that is lost has the call repeated; or the producer is killed before it comes.
            for _ in range(self.random.choice([1, 1, 1, 2])):
                if items:
                    self.ledger.append("a", self._producer, self.stored, items, f"sha{after}")
                else:
                    self.ledger.end("a", self._producer, 0)
            if self.random.random() < 0.1:
                self._begin_to_produce()
            else:
                self.stored, self.ended = after, not items
        except BatchCancelled:
            self.ended = True

    def info(self, name: str) -> BatchInfo:
        return BatchInfo.from_fields(name, self.ledger.state(name))

    def messages(self):
        return self.ledger.client.xrange(queue_key(self.ledger))

    def step(self, *, operator: bool = True) -> None:
        """One call of an actor, chosen at random."""
        acts = [self._take, self._take, self._record, self._record, self._record, self._die, self._heartbeat]
        acts += [self._produce]
        self.random.choice([*acts, self._operate] if operator else acts)()

    def _take(self) -> None:
        messages = self.messages()
        if not messages:
            return
        identity, fields = self.random.choice(messages)
        _, batch, epoch, first, count, _ = json.loads(json.loads(fields["m"])["body"])[0]
        chunk = Chunk(batch, epoch, first, count)
        work = self.ledger.take(chunk, WORKER)
        if work is None:
            self.ledger.client.xdel(queue_key(self.ledger), identity)
        elif all(identity != other for other, _, _ in self.runs) or self.random.random() < 0.2:
            # Sometimes a second worker has the message too.
            self.runs.append((identity, chunk, work.items))

    def _record(self) -> None:
        if not self.runs:
            return
        identity, chunk, items = self.runs.pop(self.random.randrange(len(self.runs)))
        count = self.random.randint(1, len(items)) if items and self.random.random() < 0.3 else len(items)
        outcomes = [self._outcome(chunk.batch, item) for item in items[:count]]
        rest = chunk.first + chunk.count - items[count - 1].index - 1 if count < len(items) else 0
        for _ in range(1 if self.random.random() < 0.8 else 2):
            # An answer that is lost has the call repeated.
            self.ledger.record(chunk, outcomes, 0.01 * len(outcomes), WORKER, rest)
        if self.random.random() < 0.9:
            # Else the worker dies before it acknowledges.
            self.ledger.client.xdel(queue_key(self.ledger), identity)

    def _outcome(self, batch: str, item) -> Outcome:
        failed = self.random.randrange(100) < FAILING
        if not failed:
            return Outcome(item.index, "succeeded", item.attempt, json.dumps(item.value), 0.01, WORKER, 1)
        again = 1 if batch != "c" and item.attempt - item.before < 2 else None
        return Outcome(item.index, "failed", item.attempt, '{"type": "E"}', 0.01, WORKER, 1, again)

    def _die(self) -> None:
        if self.runs and self.random.random() < 0.5:
            self.runs.pop(self.random.randrange(len(self.runs)))

    def _heartbeat(self) -> None:
        ledger = self.ledger
        self._make_due(ledger.settings.key("due"), 0)
        for name in "abcd":
            for part in ("in_flight", "retry"):
                self._make_due(ledger.key(name, part), 1)
        ledger.heartbeat(WORKER, heartbeat(4), [])

    def _make_due(self, key: str, at: int) -> None:
        members = self.ledger.client.zrange(key, 0, -1)
        if members:
            self.ledger.client.zadd(key, dict.fromkeys(members, at))

    def _operate(self) -> None:
        if self.random.random() > 0.15:
            return
        name = self.random.choice("aabbcd")
        words = ["retry", "retry cancelled", "pause", "resume", "resume", "cancel", "delete"]
        what = self.random.choice([*words, "retry workflow", "retry workflow cancelled"])
        if what == "cancel" and self.random.random() < 0.6:
            return
        self.acts[f"{what} {name}"] += 1
        try:
            if what == "delete":
                self._delete_followed()
            elif "workflow" in what:
                self._retry_workflow(cancelled=what.endswith("cancelled"))
            elif what.startswith("retry"):
                self.control.retry(name, cancelled=what.endswith("cancelled"))
            elif what == "cancel":
                self.control.cancel(name, "by me")
            else:
                getattr(self.control, what)(name)
        except InputError:
            # It is being cancelled.
            pass

    def _retry_workflow(self, *, cancelled: bool) -> None:
        """Others act between the calls; or the command is killed there, and somebody repeats it, or nobody does."""
        for name in "abcd":
            for _ in range(self.random.choice([1, 1, 1, 2])):
                self.control.retry(name, cancelled=cancelled, workflow=True)
            if self.random.random() < 0.1:
                return
            for _ in range(self.random.choice([0, 0, 3])):
                self.step(operator=False)

    def _delete_followed(self) -> None:
        """A batch that others follow stays."""
        if self.info("b").taking:
            try:
                self.ledger.delete("a")
            except InputError:
                return
            raise AssertionError("a batch whose values another one takes was deleted")

    def finish(self) -> None:
        """No fault and no operator any more: all that can end does."""
        for _ in range(20 * self.count + 2000):
            if all(self.info(name).state in ENDED for name in "abcd"):
                return
            for name in "abcd":
                self.control.resume(name)
            self._heartbeat()
            self._produce()
            self._take()
            while self.runs:
                self._record()
        raise AssertionError({name: self.info(name) for name in "abcd"})

    def check(self) -> None:
        """What holds at every moment."""
        infos = {name: self.info(name) for name in "abcd"}
        for info in infos.values():
            counts = info.succeeded + info.failed + info.cancelled + info.dead
            assert info.submitted == counts + info.left, info
            assert info.left >= 0, info
        values = [json.loads(text) for _, text in self.ledger.items("b")]
        assert len(values) == len({*values}) == infos["b"].submitted, "an item of a became two of b"
        state = self.ledger.state
        if "waiting" in state("c"):
            assert infos["b"].state not in ENDED, infos
        if infos["d"].state is State.WAITING and "unmet" not in state("d"):
            assert not (infos["a"].state in ENDED and infos["b"].state in ENDED), infos
        open_items = sum(info.left for info in infos.values() if info.state not in ENDED)
        queue = self.ledger.client.hgetall(self.ledger.settings.key("queue:cpu"))
        assert int(queue.get("open", 0)) + int(queue.get("paused", 0)) == open_items, (queue, infos)

    def check_end(self) -> None:
        """What holds at the end: each value of `a` is an item of `b`, but for those that came after the end of `b`."""
        self.check()
        a, b = self.info("a"), self.info("b")
        if "input_cut" not in self.ledger.state("a"):
            assert [int(text) for _, text in self.ledger.items("a")] == list(range(self.count))
        if "input_cut" not in self.ledger.state("b") and "a" not in b.superseded:
            assert b.submitted == a.succeeded, (a, b)
        else:
            assert b.submitted <= a.succeeded, (a, b)
