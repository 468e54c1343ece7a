"""The form of a state in which states that behave alike are equal: ids and times by rank, workers without names."""

import json
import re
from collections.abc import Iterable
from itertools import permutations
from typing import Any

from gristmill.batches.chunk import Chunk
from tests.model import product
from tests.model.store import Snapshot, Stream, View
from tests.model.world import Actors, Worker

_ID = re.compile(r"\d{13}-\d+")
#: Times within this many ms are one: a step of time is far longer.
_MOMENT_MS = 500

Form = Any


class Canonical:
    """Makes a number of each state: the same one for states that behave alike, and else, but for chance, another."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, bytes], Form] = {}

    def number(self, actors: Actors, snapshot: Snapshot) -> int:
        """The number of a state: the least one of those with the workers in each order."""
        forms = snapshot.forms = snapshot.forms or _Forms(self, snapshot)
        numbers = []
        for order in _orders(actors.workers):
            names = {worker.name: f"w{place}" for place, worker in enumerate(order)}
            names |= {name: f"gone{place}" for place, name in enumerate(sorted(forms.workers - names.keys()))}
            scope = _Scope(actors, snapshot.view, forms.ids, names, forms.holders)
            numbers.append(hash((scope.actors(order), forms.plain, *(scope.form(part) for part in forms.scoped))))
        return min(numbers)

    def plain(self, part: str, dump: bytes, value: Any) -> Form:
        if (part, dump) not in self._forms:
            self._forms[part, dump] = _plain_form(part, value)
        return self._forms[part, dump]


class _Forms:
    """What the form of a state takes from its keys alone."""

    def __init__(self, canonical: Canonical, snapshot: Snapshot) -> None:
        plain: list[Form] = []
        self.scoped: list[str] = []
        for name in sorted(snapshot.keys):
            part = product.part(name)
            kind = product.form_of(part)
            if kind == "plain":
                plain.append(canonical.plain(part, snapshot.keys[name], snapshot.view[part]))
            elif kind:
                self.scoped.append(part)
        queues = [value for part, value in snapshot.view.items() if part.startswith("q:") and part != product.ALARM]
        self.plain = hash(tuple(plain))
        self.workers, self.ids = _names(snapshot.view, queues), _ranks(queues)
        self.holders = {owner for queue in queues for owner in queue.pending.values()}


def _plain_form(part: str, value: Any) -> Form:
    """The form of a key without ids of messages, names of workers and times."""
    bare = product.bare(part)
    if part == product.ACTIVE:
        return part, tuple(name for name, _ in value)
    if bare == "dependents":
        return part, tuple(sorted((name, entry.partition(":")[2]) for name, entry in value.items()))
    if bare.startswith("out:"):
        return part, tuple(sorted(product.outcomes_in(value)))
    if bare == "events":
        return part, tuple(sorted(product.events_in(value)))
    if isinstance(value, Stream):
        rows = (product.without_times(fields).items() for fields in value.entries.values())
        return part, tuple(tuple(sorted(row)) for row in rows)
    if isinstance(value, dict):
        return part, tuple(sorted(value.items()))
    return part, tuple(value) if isinstance(value, list) else value


def _orders(workers: tuple[Worker, ...]) -> Iterable[tuple[Worker, ...]]:
    """The workers in the order of what they are at; in every order that leaves open."""
    ranks = {worker.name: _rank(worker) for worker in workers}
    ordered = sorted(workers, key=lambda worker: ranks[worker.name])
    if len(set(ranks.values())) == len(ranks):
        return [tuple(ordered)]
    row = [ranks[worker.name] for worker in ordered]
    return [each for each in permutations(ordered) if [ranks[worker.name] for worker in each] == row]


def _rank(worker: Worker) -> Form:
    running = worker.running and (
        worker.running.batch,
        worker.running.epoch,
        worker.running.first,
        worker.running.count,
    )
    return worker.at, worker.tag, running or (), worker.sure, worker.lost_sight, worker.read[:1]


def _names(view: View, queues: list[Stream]) -> set[str]:
    """The names of all workers that the server knows, the crashed ones too."""
    names = {name for part in product.WORKER_ZSETS for name, _ in view.get(part, ())}
    for queue in queues:
        names.update(queue.pending.values())
    others = (f"batch:{name}:{product.RUNNING_HASH}" for name in product.OTHERS)
    for part in (product.RUNNING_HASH, *others):
        names |= {text.split(" ")[0] for text in view.get(part, {}).values()}
    return names - {product.NOBODY}


def _ranks(queues: list[Stream]) -> dict[str, str]:
    """The place of each message on the queue, by its id."""
    ids = {identity for queue in queues for identity in (*queue.entries, *queue.pending)}
    return {identity: f"#{rank}" for rank, identity in enumerate(sorted(ids, key=_order))}


def _order(identity: str) -> tuple[int, int]:
    time, number = identity.split("-")
    return int(time), int(number)


def _chunk(chunk: Chunk | None, epochs: dict[str, int]) -> Form:
    return chunk and (chunk.batch, chunk.epoch == epochs[chunk.batch], chunk.first, chunk.count)


class _Scope:
    """What ids, names and times mean in one state."""

    def __init__(
        self, actors: Actors, view: View, ids: dict[str, str], names: dict[str, str], holders: set[str]
    ) -> None:
        self.all, self.view, self.ids, self.names, self.holders = actors, view, ids, names, holders
        states = {product.BATCH: view, **{name: product.other(view, name) for name in product.OTHERS}}
        self.epochs = {name: int(keys.get("state", {}).get("epoch", 0)) for name, keys in states.items()}

    def actors(self, order: tuple[Worker, ...]) -> Form:
        workers = tuple(
            (
                worker.at,
                self.ranked(worker.tag),
                worker.returns,
                _chunk(worker.chunk, self.epochs),
                _chunk(worker.running, self.epochs),
                tuple((item.index, item.value, item.attempt, item.before) for item in worker.items),
                worker.sure,
                worker.lost_sight,
                self._read(worker.read),
            )
            for worker in order
        )
        actors = self.all
        producers = tuple((producer.at, producer.stored) for producer in actors.producers)
        done = frozenset(map(self._notice, actors.done))
        moment = (actors.now, actors.looked, actors.outage) if actors.is_timed else ()
        return producers, workers, actors.operator, actors.faults, actors.generation, done, moment

    def form(self, part: str) -> Form:
        value = self.view[part]
        if product.bare(part) == "state":
            return part, tuple(self._state(value))
        if part.startswith((product.NOTICE, product.ANSWER)):
            return self._of_notice(part, value)
        if part == product.APPENDS:
            return part, tuple(self._append(json.loads(text)) for _, text in sorted(value.items()))
        if product.bare(part) == product.RUNNING_HASH:
            rows = ((chunk, *text.split(" ", 1)) for chunk, text in value.items())
            return part, tuple(sorted((chunk, self.names[worker], message) for chunk, worker, message in rows))
        if part.startswith("q:"):
            return part, self._queue(value)
        if part in product.WORKER_ZSETS:
            # The order of workers is that of their names, which mean nothing.
            return part, tuple(
                sorted((self.names[name], self._age(score)) for name, score in value if self._counts(part, name))
            )
        if isinstance(value, dict):
            return part, tuple(
                sorted((self.names.get(f, self.ranked(f)), self.ranked(text)) for f, text in value.items())
            )
        return part, tuple((self.ranked(member), self._age(score)) for member, score in value)

    def _counts(self, part: str, name: str) -> bool:
        """Whether a lease means something: not that of a worker that is gone and holds nothing."""
        if part != product.LEASES or not self.names[name].startswith("gone"):
            return True
        return name in self.holders

    def ranked(self, text: str) -> str:
        return _ID.sub(lambda match: self.ids.get(match[0], "gone"), text) if len(text) > 13 else text

    def _age(self, moment: float) -> str:
        """Past, now or to come: no script sees more, because a step of time is longer than all that they wait for."""
        if moment < 1000:
            return str(moment)
        late = moment - self.all.now
        return "now" if abs(late) < _MOMENT_MS else "past" if late < 0 else "later"

    def _state(self, fields: dict[str, str]) -> Iterable[tuple[str, str]]:
        for name, text in sorted(fields.items()):
            if name in product.PRESENT_FIELDS:
                yield name, ""
            elif name in product.DUE_FIELDS:
                yield name, "later" if float(text) > self.all.now else "past"
            elif name in product.TOKEN_FIELDS:
                yield name, "ours" if text in self._tokens() else "other"
            elif name == "notice":
                notice = json.loads(text)
                yield name, f"{self._notice(notice['id'])} {notice['event']} {notice['state']}"
            elif name not in product.IGNORED_FIELDS:
                yield name, text

    def _append(self, append: dict[str, Any]) -> Form:
        ours = append["producer"] in self._tokens()
        return append["position"], append["added"], append["sha"], "ended" in append, ours, self._age(append["alive"])

    def _of_notice(self, part: str, value: Any) -> Form:
        if part.startswith(product.NOTICE):
            claim = value.get("claim")
            return self._notice(part.removeprefix(product.NOTICE)), value["event"], claim and self._holder(claim)
        # An answer is asked for by whoever has not read it.
        tokens = {product.claim_token(worker.name, worker.claims): worker.name for worker in self.all.workers}
        return tuple(self.names[name] for token, name in tokens.items() if token in part)

    def _notice(self, text: str) -> str:
        """A notice is that of the last end, or of one before; other texts are themselves."""
        if not text.startswith("msg_"):
            return text
        return "last" if text == product.end_notice(product.BATCH, self.view["state"]) else "before"

    def _holder(self, claim: str) -> str:
        """Whose claim it is."""
        return next((self.names[w.name] for w in self.all.workers if w.read[1:] == (claim,)), "nobody")

    def _read(self, read: tuple[Any, ...]) -> Form:
        if read and str(read[0]).startswith("msg_"):
            return self._notice(read[0]), self.view.get(f"{product.NOTICE}{read[0]}", {}).get("claim") == read[1]
        return read

    def _tokens(self) -> set[str]:
        return {producer.token for producer in self.all.producers}

    def _queue(self, stream: Stream) -> Form:
        entries = tuple((self.ids[identity], self._message(fields["m"])) for identity, fields in stream.entries.items())
        read = _order(stream.read_to) if stream.read_to else (0, 0)
        fresh = sum(_order(identity) > read for identity in stream.entries)
        owners = tuple(sorted((self.ids[identity], self.names.get(o, o)) for identity, o in stream.pending.items()))
        return entries, fresh, bool(stream.read_to), owners

    def _message(self, text: str) -> Form:
        chunk = product.chunk_in(text)
        return _chunk(chunk, self.epochs) if chunk else product.name_in(text)
