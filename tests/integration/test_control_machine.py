"""Whatever is done to a batch in whatever order, its counters add up and every open item is somewhere to be run."""

import uuid
from collections import Counter
from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gristmill.batches.bit_words import set_bits, words_of
from gristmill.batches.control import Control
from gristmill.batches.info import State
from gristmill.batches.ledger import Ledger
from gristmill.batches.outcomes import event_ranges
from gristmill.batches.reader import ResultReader
from gristmill.batches.repair import Repair
from gristmill.config.settings import load
from gristmill.errors import BatchCancelled, InputError
from tests.support.ledger import FIELDS, WORKER, enlist, heal, info, let_time_pass, outcomes, pop

NAME = "b"
OTHER = "cpu@b"
#: Milliseconds until an attempt that is due only when `time_passes`.
LATER = "later"
LIMITS = ({}, {"halt": "3"}, {"halt": "20%"}, {"halt": "success=4", "max_running": "2"})


def ended(items, state):
    """Outcomes of this state; LATER is a failed attempt that another one follows."""
    return outcomes(items, "failed", 3_600_000) if state == LATER else outcomes(items, state)


class Controlled(RuleBasedStateMachine):
    """A batch with a producer, two workers and an operator, each as unlucky as can be."""

    def __init__(self, client):
        super().__init__()
        self.ledger = Ledger(client, load({"GRISTMILL_PREFIX": f"t{uuid.uuid4().hex}:"}))
        self.control = Control(client, self.ledger.settings)
        enlist(self.ledger)
        self.stored, self.feeding = 0, True
        #: Every chunk that was ever on the queue, and what workers hold of them: chunk, items, worker.
        self.messages, self.held = [], []

    # -- the producer

    @initialize(
        limits=st.sampled_from(LIMITS),
        count=st.integers(1, 20),
        last=st.booleans(),
        state=st.sampled_from(["", "succeeded", "failed", LATER]),
    )
    def begin(self, limits, count, last, state):
        self.ledger.create(NAME, "token", {**FIELDS, "retries": 1, **limits})
        self.append(count, last)
        if state:
            self.work(state)

    @precondition(lambda self: self.feeding)
    @rule(count=st.integers(1, 20), last=st.booleans())
    def append(self, count, last):
        items = [str(index) for index in range(self.stored, self.stored + count)]
        try:
            self.ledger.append(NAME, "token", self.stored, items, f"sha{self.stored + count}")
            self.stored += count
            if last:
                self.end()
        except BatchCancelled:
            self.feeding = False

    def end(self):
        self.feeding = False
        with suppress(BatchCancelled):
            self.ledger.end(NAME, "token", 0)

    # -- workers

    @rule(kept=st.booleans(), worker=st.sampled_from([WORKER, OTHER]))
    def take(self, kept, worker):
        chunk = pop(self.ledger)
        if chunk is not None:
            self.messages.append(chunk)
            if kept:
                self._take(chunk, worker)

    @precondition(lambda self: self.messages)
    @rule(data=st.data())
    def take_what_came_back(self, data):
        self._take(data.draw(st.sampled_from(self.messages)), OTHER)

    def _take(self, chunk, worker):
        work = self.ledger.take(chunk, worker)
        if work is not None:
            self.held.append((chunk, work.items, worker))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), repeated=st.booleans())
    def record(self, data, repeated):
        place = data.draw(st.integers(0, len(self.held) - 1))
        chunk, items, worker = self.held[place] if repeated else self.held.pop(place)
        states = data.draw(
            st.lists(st.sampled_from(["succeeded", "failed", "dead", LATER]), min_size=len(items), max_size=len(items))
        )
        cut = data.draw(st.integers(0, len(items)))
        done = [one for item, state in zip(items[:cut], states, strict=False) for one in ended([item], state)]
        if cut == len(items) and data.draw(st.booleans()):
            _, work = self.ledger.record_and_go_on(chunk, done, 0.001 * len(done), worker)
            if work:
                self.held.append((work.chunk, work.items, worker))
            return
        rest = chunk.first + chunk.count - items[cut].index if cut < len(items) else 0
        self.ledger.record(chunk, done, 0.001 * len(done), worker, rest=rest)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def record_a_part_and_go_on(self, data):
        place = data.draw(st.integers(0, len(self.held) - 1))
        chunk, items, worker = self.held[place]
        cut = data.draw(st.integers(0, len(items)))
        self.held[place] = chunk, items[cut:], worker
        self.ledger.record(chunk, outcomes(items[:cut], "failed"), 0.001, worker, rest=-1)

    @rule(state=st.sampled_from(["succeeded", "failed", LATER]))
    def work(self, state):
        """All that is on the queue, and what follows it for a while."""
        for _ in range(20):
            chunk = pop(self.ledger)
            if chunk is None:
                break
            work = self.ledger.take(chunk, WORKER)
            if work is not None:
                self.ledger.record(chunk, ended(work.items, state), 0.001, WORKER)

    @rule()
    def heartbeat(self):
        heal(self.ledger, [chunk for chunk, _, _ in self.held])

    @rule()
    def time_passes(self):
        let_time_pass(self.ledger, NAME)

    # -- the operator

    @rule()
    def pause(self):
        self.control.pause(NAME)

    @rule()
    def resume(self):
        self.control.resume(NAME)

    @rule(killable=st.sets(st.sampled_from([WORKER, OTHER])))
    def cancel(self, killable):
        ended = self.info().finished
        running = self.control.cancel(NAME, "by me", killable)
        assert (running is None) == bool(ended)
        assert {one.worker for one in running or []} <= killable

    @rule(cancelled=st.booleans())
    def retry(self, cancelled):
        before = self.info()
        try:
            number = self.control.retry(NAME, cancelled=cancelled)
        except InputError:
            assert before.reason
            assert not before.finished
            return
        assert number == before.failed + before.dead + (before.cancelled if cancelled else 0)
        after = self.info()
        assert (after.left, after.succeeded, after.failed, after.dead) == (before.left + number, before.succeeded, 0, 0)

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), cancels=st.booleans())
    def control_an_item(self, data, cancels):
        index = data.draw(st.integers(0, self.stored - 1))
        self.cancel_item(index) if cancels else self.retry_item(index)

    def cancel_item(self, index):
        before = self.info()
        was_done = index in self._bits("done")
        assert (self.control.cancel_item(NAME, index, "by me") == "ended") == was_done
        after = self.info()
        # In a batch that is being cancelled, others may end as well.
        assert (after.cancelled > before.cancelled) == (after.left < before.left)
        assert was_done or index in self._bits("cancelled")

    def retry_item(self, index):
        before = self.info()
        may_run = index in self._bits("failed") | self._bits("cancelled")
        try:
            runs = self.control.retry_item(NAME, index)
        except InputError:
            assert before.reason
            assert not before.finished
            return
        assert runs == may_run
        assert (self.info().left, self.info().succeeded) == (before.left + runs, before.succeeded)

    # -- what always holds

    def info(self):
        return info(self.ledger, NAME)

    def _bits(self, part):
        if not self.stored:
            return set()
        (word, at), *more = words_of(0, self.stored)
        words = self.ledger.client.bitfield_ro(self.ledger.key(NAME, part), word, at, more)
        return set(set_bits(words, 0, self.stored))

    def _ranges(self, part):
        members = self.ledger.client.zrange(self.ledger.key(NAME, part), 0, -1)
        firsts = [[int(number) for number in f"{member}:1".split(":")[:2]] for member in members]
        return {index for first, count in firsts for index in range(first, first + count)}

    @invariant()
    def the_counters_are_what_the_bitmaps_say(self):
        state = self.info()
        done, failed, cancelled = (self._bits(part) for part in ("done", "failed", "cancelled"))
        assert state.submitted == self.stored
        assert (state.done, state.failed + state.dead) == (len(done), len(failed))
        assert state.cancelled == len(cancelled)
        assert failed | cancelled <= done
        assert not failed & cancelled
        assert min(state.succeeded, state.failed, state.cancelled, state.dead, state.left) >= 0

    @invariant()
    def no_more_items_run_at_once_than_its_limit_says(self):
        most = int(self.ledger.state(NAME).get("max_running", 1000))
        assert self.ledger.client.zcard(self.ledger.key(NAME, "in_flight")) <= most

    @invariant()
    def every_open_item_is_somewhere(self):
        state, open_items = self.info(), set(range(self.stored)) - self._bits("done")
        cursor = int(self.ledger.state(NAME).get("cursor", 0))
        waiting = self._bits("retry_pending") | set(range(cursor, self.stored))
        assert not self._bits("retry_pending") & self._bits("done")
        for part in ("remainder", "retry", "in_flight"):
            waiting |= self._ranges(part)
        assert open_items <= waiting
        assert not state.finished or not open_items

    @invariant()
    def each_attempt_has_one_event(self):
        seen = Counter()
        for _, fields in self.ledger.client.xrange(self.ledger.key(NAME, "events")):
            for first, last, attempt in event_ranges(fields["ranges"]):
                seen.update((index, attempt) for index in range(first, last + 1))
        assert all(number == 1 for number in seen.values())

    def teardown(self):
        """Its parts agree; left alone, it comes to its end, and each item has one result."""
        repair = Repair(self.ledger.client, self.ledger.settings)
        assert repair.examine(NAME) == {}
        assert repair.queues(["cpu"], mend=False) == {}
        self.control.resume(NAME)
        if self.feeding:
            self.end()
        for _ in range(1000):
            if self.info().finished:
                break
            let_time_pass(self.ledger, NAME)
            self.work("succeeded")
        self.the_counters_are_what_the_bitmaps_say()
        state = self.info()
        assert state.left == 0
        reader = ResultReader(self.ledger.client, self.ledger.settings, NAME)
        results = list(reader.in_order(0, self.stored))
        assert [result.index for result in results] == list(range(self.stored))
        counts = Counter(result.state for result in results)
        assert counts == +Counter({word: getattr(state, word) for word in ("succeeded", "failed", "dead", "cancelled")})
        event, followed = "0-0", list(reader.cancelled(self.stored))
        while True:
            event, more = reader.after(event, 0)
            if not more:
                break
            followed += more
        assert sorted(result.index for result in followed) == list(range(self.stored))
        self.ledger.delete(NAME)
        assert list(self.ledger.client.scan_iter(f"{self.ledger.settings.prefix}gm1:batch:*")) == []


def test_the_books_balance_whatever_is_done_to_a_batch(client):
    """And the machine reaches every state, else what holds would hold of little."""
    seen = set()

    class Watched(Controlled):
        @invariant()
        def note(self):
            seen.add(self.info().state)

    options = settings(max_examples=20, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    # The machine's producer never dies, and makes a batch that begins at once and follows no other.
    wanted = set(State) - {State.ABANDONED, State.OPEN, State.WAITING, State.SCHEDULED}
    for _ in range(8):
        run_state_machine_as_test(lambda: Watched(client), settings=options)
        if seen == wanted:
            break
    assert seen == wanted
