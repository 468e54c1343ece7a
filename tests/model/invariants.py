"""What holds in every state, whatever happened before. Each check answers what is wrong, or nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping

from tests.model import notices, product, schedules
from tests.model.store import Stream, View, bits
from tests.model.world import Actors, Scenario


def violations(actors: Actors, view: View, scenario: Scenario) -> Iterator[str]:
    """Everything that is wrong in a state."""
    yield from _owners(actors, view)
    if actors.faults == scenario.faults:
        yield from _runs(actors)
    if scenario.messages:
        yield from _messages(actors, view, scenario)
    elif scenario.schedule:
        yield from schedules.violations(actors, view, scenario)
    elif "task" in view.get("state", {}):
        batch = Books(view)
        yield from batch.counters()
        yield from batch.outcomes()
        yield from batch.events()
        unlucky = actors.faults < scenario.faults
        yield from batch.places(unlucky)
        yield from batch.items(actors, scenario)
        yield from _others(view, batch, unlucky)
        if scenario.notice:
            yield from notices.violations(actors, view, unlucky)


def ended(actors: Actors, view: View, scenario: Scenario) -> bool:
    """Whether all is done, and nothing is left that anybody would have to do."""
    stands = any(stream.entries for _, stream in _queues(view))
    if any(worker.tag for worker in actors.workers) or (stands and not scenario.schedule):
        return False
    if scenario.schedule:
        return schedules.ended(actors, view, scenario)
    if scenario.messages or not actors.have_input:
        return actors.have_input
    if scenario.notice and not notices.ended(actors, view):
        return False
    others = [books.state for books in _books_of_others(view).values()]
    return all("finished" in state for state in [view.get("state", {}), *others])


def _books_of_others(view: View) -> dict[str, "Books"]:
    every = {name: product.other(view, name) for name in product.OTHERS}
    return {name: Books(keys) for name, keys in every.items() if "state" in keys}


def _others(view: View, batch: "Books", unlucky: bool) -> Iterator[str]:
    """The other batches, and what all of them share."""
    others = _books_of_others(view)
    for name, books in others.items():
        for problem in (*books.counters(), *books.outcomes(), *books.events(), *books.places(unlucky)):
            yield f"batch {name}: {problem}"
        if "after" in books.state:
            yield from _link(batch.state, books)
        if "from_batch" in books.state:
            yield from _values(batch, books)
    every = {product.BATCH: batch, **others}
    live = sorted(name for name, books in every.items() if "finished" not in books.state)
    if sorted(name for name, _ in view.get(product.ACTIVE, ())) != live:
        yield f"the batches {live} are not finished, and others are among the active ones"
    counts = {name: int(text) for name, text in view.get(product.COUNTS, {}).items() if int(text)}
    truth = sum((books.open_counts() for books in every.values()), Counter())
    if counts != {name: count for name, count in truth.items() if count}:
        yield f"the queue's counts are {counts}, and should be {dict(truth)}"
    yield from _line(view)


def _line(view: View) -> Iterator[str]:
    """Who has a batch in line has a turn, and nobody else has."""
    lines = {part.removeprefix(product.LINE) for part in view if part.startswith(product.LINE)}
    turns = {name for name, _ in view.get(product.TURNS, ())}
    if lines != turns:
        yield f"{sorted(lines)} are in line, and {sorted(turns)} have turns"


def _values(source: "Books", taker: "Books") -> Iterator[str]:
    """Each value of the source becomes one item of the taker, and the taker ends with the source."""
    items = list(taker.stored_items().values())
    succeeded = sorted(source.done - source.failed - source.cancelled)
    values = [source.stored_items()[index] for index in succeeded]
    if len(set(items)) != len(items) or not set(items) <= set(values):
        yield f"the values {values} are recorded, and became the items {items}"
    has_ended = product.INPUT_ENDED in taker.state and "input_cut" not in taker.state
    if has_ended and "superseded" not in taker.state:
        if "finished" not in source.state:
            yield "the batch of values has taken an end of its source, which goes on"
        elif sorted(items) != sorted(values):
            yield f"the values {values} are recorded, and {items} are all that became items"


def _link(first: Mapping[str, str], second: "Books") -> Iterator[str]:
    state = second.state
    failed = any(int(first.get(name, 0)) for name in ("failed", "dead", "cancelled")) or "input_cut" in first
    if "waiting" in state and "finished" in first:
        yield "the second batch waits, though the first one has ended"
    has_begun = "waiting" not in state and "unmet" not in state
    if has_begun and "finished" not in first and "superseded" not in state:
        yield "the second batch has begun, though the first one has not ended"
    if has_begun and failed and "finished" in first and "superseded" not in state and state["after"] == product.BATCH:
        yield "the second batch has begun, though the first one failed"
    if "unmet" in state and "finished" in state and second.number("cancelled") != second.stored:
        yield "the second batch was cancelled before it began, and has run"


def _queues(view: View) -> Iterator[tuple[str, Stream]]:
    for part, value in view.items():
        if part.startswith("q:") and part != product.ALARM:
            yield part.rpartition(":")[2], value


def _owners(actors: Actors, view: View) -> Iterator[str]:
    standing = {f"{level}/{i}/{product.QUEUE}": o for level, queue in _queues(view) for i, o in queue.pending.items()}
    entries = {f"{level}/{i}/{product.QUEUE}" for level, queue in _queues(view) for i in queue.entries}
    for worker in actors.workers:
        if worker.sure and (standing.get(worker.tag) != worker.name or worker.tag not in entries):
            yield f"the message of {worker.slot} does not stand on the queue in its name, though its lease lasts"


def _runs(actors: Actors) -> Iterator[str]:
    """While nothing goes wrong, nothing runs twice."""
    runs = Counter(
        (worker.running.epoch, item.index) for worker in actors.workers if worker.running for item in worker.items
    )
    for (_, index), count in runs.items():
        if count > 1:
            yield f"{count} workers run item {index}, though nothing went wrong"


def _messages(actors: Actors, view: View, scenario: Scenario) -> Iterator[str]:
    """Each plain message is done, or stands once: on the queue or with the dead letters."""
    if not actors.have_input:
        return
    places: Counter[str] = Counter()
    for _, queue in _queues(view):
        for fields in queue.entries.values():
            places[product.name_in(fields["m"])] += 1
    for fields in view["dead"].entries.values() if "dead" in view else ():
        places[product.name_in(fields["message"])] += 1
    for name in (f"m{index}" for index in range(scenario.messages)):
        if not places[name] and name not in actors.done:
            yield f"message {name} was lost"
        if places[name] > 1 and scenario.faults == actors.faults:
            yield f"message {name} stands {places[name]} times, though nothing went wrong"


class Books:
    """The books of the batch: its counters, bitmaps, outcomes and places."""

    def __init__(self, view: View) -> None:
        self.view, self.state = view, view["state"]
        self.stored = self.number("stored")
        self.done, self.failed, self.cancelled = (bits(view.get(part)) for part in ("done", "failed", "cancelled"))

    def number(self, field: str) -> int:
        return int(self.state.get(field, 0))

    def counters(self) -> Iterator[str]:
        counts = {word: self.number(word) for word in ("succeeded", "failed", "dead", "cancelled")}
        left = self.stored - sum(counts.values())
        if left < 0:
            yield f"more outcomes than items: {counts} of {self.stored}"
        if sum(counts.values()) != len(self.done):
            yield f"the counters say {counts}, and {len(self.done)} items have an outcome"
        if counts["failed"] + counts["dead"] != len(self.failed) or counts["cancelled"] != len(self.cancelled):
            yield f"the counters say {counts}, the bitmaps {len(self.failed)} failed, {len(self.cancelled)} cancelled"
        if not (self.failed | self.cancelled) <= self.done or self.failed & self.cancelled:
            yield "an item is failed or cancelled without an outcome, or both"
        if self.done and max(self.done) >= self.stored:
            yield "an item has an outcome that nobody submitted"
        if "finished" in self.state and (left or product.INPUT_ENDED not in self.state):
            yield f"the batch is finished, and {left} items are left"

    def stored_items(self) -> dict[int, int]:
        """The items as they are stored, by index."""
        blocks = self.view["in"].entries.values() if "in" in self.view else ()
        return {
            index: int(text)
            for block in blocks
            for index, text in enumerate(block["items"].split("\n"), int(block["first"]))
        }

    def items(self, actors: Actors, scenario: Scenario) -> Iterator[str]:
        """Every item that producers have is stored once, in the order of each."""
        stored = self.stored_items()
        if list(stored) != list(range(self.stored)):
            yield f"{self.stored} items are counted, and {list(stored)} are stored"
        for producer in actors.producers:
            first = 100 * actors.generation + producer.number * scenario.items
            own = [value for value in stored.values() if value in range(first, first + scenario.items)]
            # The answer about the last block may be lost.
            if own != list(range(first, first + len(own))) or (producer.at == "end" and len(own) < scenario.items):
                yield f"producer {producer.number + 1} has stored {own}"
        whole = actors.have_input and "input_cut" not in self.state
        if whole and self.stored != scenario.items * scenario.producers:
            yield f"all is submitted, and {self.stored} items are stored"

    def outcomes(self) -> Iterator[str]:
        """Each item that ran has one outcome, which is its own."""
        items = self.stored_items()
        outcomes: dict[int, list[tuple[str, int, int]]] = {}
        for part, value in self.view.items():
            if part.startswith("out:"):
                for index, outcome in product.outcomes_in(value):
                    outcomes.setdefault(index, []).append(outcome)
        for index in self.done - self.cancelled:
            if len(outcomes.get(index, ())) != 1:
                yield f"item {index} has {len(outcomes.get(index, ()))} outcomes"
                continue
            ((state, value, _),) = outcomes[index]
            if (state in ("failed", "dead")) != (index in self.failed):
                yield f"item {index} is {state}, and the bitmap of failed items says otherwise"
            if value != items[index]:
                yield f"item {index} has the outcome of another item: {value}"

    def events(self) -> Iterator[str]:
        """No attempt of an item is told twice."""
        counts = Counter(product.events_in(self.view["events"])) if "events" in self.view else Counter()
        for (index, attempt), count in counts.items():
            if count > 1:
                yield f"{count} events tell of attempt {attempt} of item {index}"

    def places(self, unlucky: bool) -> Iterator[str]:
        """Each item without an outcome is in one place from which it is handed out, and none is nowhere."""
        if "finished" in self.state:
            return
        yield from self._bounds()
        places = self._places()
        waiting = [index for part in product.WAITING for index in self._waiting(part)]
        if not unlucky and (again := self.done & set(waiting)):
            yield f"items {sorted(again)} have an outcome, and wait for another attempt"
        for index in range(self.stored):
            if index in self.done:
                continue
            where = places.get(index, [])
            if not where:
                yield f"item {index} has no outcome and is nowhere"
            # After a fault two workers may run an item. A failure that one records first sends it to `retry`, while it
            # is in the other's chunk: it then runs once too often, and counts once.
            elif len(where) > 1 and not (unlucky and len(where) == 2 and product.WAITING[0] in where):
                yield f"item {index} is in {len(where)} places: {', '.join(where)}"

    def _bounds(self) -> Iterator[str]:
        """No more is in flight than a limit lets, and what counts that agrees."""
        chunks = [product.span(member) for member, _ in self.view.get(product.CHUNK_ZSETS[0], ())]
        for prefix, counts in (("", product.VALUES_RUNNING), ("task_", product.TASK_RUNNING)):
            if f"{prefix}max_running" not in self.state:
                continue
            by_value = f"{prefix}limit_by" in self.state
            running = Counter(product.told_value(self.view, chunk[0]) if by_value else "" for chunk in chunks)
            most = int(self.state[f"{prefix}max_running"])
            if any(number > most for value, number in running.items() if value != product.UNTOLD):
                yield f"more is in flight than {prefix}max_running lets: {dict(running)}"
            counted = {value: int(number) for value, number in self.view.get(counts, ())}
            if (by_value or prefix) and counted != dict(running):
                yield f"{counts} counts {counted}, and {dict(running)} are in flight"

    def open_counts(self) -> Counter[str]:
        """What the batch adds to the counts of its queue."""
        open_items = 0 if "finished" in self.state else self.stored - len(self.done)
        chunks = len(self.view.get(product.CHUNK_ZSETS[0], ()))
        field = "paused" if self.state.keys() & {"paused", "waiting"} else "open"
        return Counter({field: open_items, f"in_flight:{self.state.get('priority', 0)}": chunks})

    def _waiting(self, part: str) -> list[int]:
        """The items that wait for another attempt: a sorted set, or a bitmap of those that `retry` gave back."""
        value = self.view.get(part)
        return [int(member) for member, _ in value] if isinstance(value, list) else sorted(bits(value))

    def _places(self) -> dict[int, list[str]]:
        places: dict[int, list[str]] = {}
        for part in product.CHUNK_ZSETS:
            for member, _ in self.view.get(part, ()):
                for index in product.span(member):
                    places.setdefault(index, []).append(f"{part} {member}")
        for part in product.WAITING:
            for index in self._waiting(part):
                places.setdefault(index, []).append(part)
        for member, _ in self.view.get(product.PARKED, ()):
            places.setdefault(int(member), []).append(product.PARKED)
        for index in range(self.number("cursor"), self.stored):
            places.setdefault(index, []).append("behind the cursor")
        return places
