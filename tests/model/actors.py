"""What each actor may do next, as steps: most are one call of the product's, some are faults."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from gristmill.batches.appends import Append
from gristmill.batches.chunk import Work
from gristmill.batches.feed import AlreadyFeeding
from gristmill.batches.ledger import Ledger
from gristmill.errors import BatchCancelled
from tests.model import notices, operators, schedules
from tests.model.product import BATCH, STEP_MS, Product, chunk_in, name_in, outcome, value_of
from tests.model.step import Act, Step, WorkerAct
from tests.model.world import Actors, Producer, Scenario, Worker


def steps(actors: Actors, scenario: Scenario) -> Iterator[Step]:
    """Every step that is possible now; faults as long as the path may have more of them."""
    unlucky = actors.faults > 0 and "lost answer" in scenario.kinds
    for words, act, lost in _calls(actors, scenario):
        yield Step(words, act, lost=replace(lost, faults=lost.faults - 1) if lost and unlucky else None)
    if scenario.schedule:
        yield from schedules.others(actors, scenario)
    elif scenario.notice:
        yield from notices.others(actors)
    else:
        yield Step("time passes", lambda product: _time(actors, scenario, product))
    if actors.faults:
        yield from _faults(actors, scenario)


def _faults(actors: Actors, scenario: Scenario) -> Iterator[Step]:
    rest = replace(actors, faults=actors.faults - 1)
    feeding = [each for each in actors.producers if each.at not in ("create", "done")] if scenario.items else []
    if "crash" in scenario.kinds:
        for worker in actors.workers:
            crashed = rest.with_worker(Worker(worker.slot, worker.life + 1))
            yield Step(f"{worker.slot} crashes", None, True, crashed)
        for producer in feeding:
            again = rest.with_producer(Producer("create", producer.life + 1, number=producer.number))
            yield Step(f"{_words(producer)} crashes", None, True, again)
    if "stall" in scenario.kinds and not scenario.notice:
        silent = [worker.slot for worker in actors.workers if worker.at != "fetch" or worker.lost_sight]
        for slot in (*silent, *map(_words, feeding)):
            stand = lambda product, slot=slot: _time(rest, scenario, product, slot)  # noqa: E731
            yield Step(f"time passes, {slot} stands still", stand, True)
    if "torn" in scenario.kinds and actors.operator[:1] == ("requeue",):
        for writes in range(1, 4):
            tear = lambda product, writes=writes: operators.requeue_torn(rest, product, writes)  # noqa: E731
            yield Step(f"operator: requeue, torn after {writes} writes", tear, True)


def _words(producer: Producer) -> str:
    return f"producer {producer.number + 1}" if producer.number else "producer"


def _time(actors: Actors, scenario: Scenario, product: Product, silent: str = "") -> Actors:
    """Let every lease end but those that live actors renew meanwhile: all of them but `silent`."""
    alive = [worker for worker in actors.workers if worker.slot != silent]
    feeding = [each for each in actors.producers if each.at in ("append", "end") and silent != _words(each)]
    for now in (actors.now + STEP_MS // 2, actors.now + STEP_MS):
        # Nobody looks at these answers.
        with product.client.assuming((0, False, (), -1, (None, None, None), 0, 0, 0)):
            product.set_clock(now)
            for worker in alive:
                product.renew(worker.name)
                if scenario.items:
                    product.heartbeat(worker.name, [worker.chunk] if worker.chunk else [])
        for producer in feeding:
            with suppress(AlreadyFeeding, BatchCancelled):
                _store_of(producer, scenario, product).producer_heartbeat(BATCH, producer.token)
    after = replace(actors, now=actors.now + STEP_MS)
    for worker in actors.workers:
        if worker not in alive:
            after = after.with_worker(replace(worker, sure=False))
    return after


def _calls(actors: Actors, scenario: Scenario) -> Iterator[tuple[str, Act, Actors | None]]:
    """The words of each call, the call, and the actors when its answer is lost (None: it needs no answer)."""
    for producer in actors.producers:
        if producer.at != "done":
            act = lambda product, producer=producer: _produce(actors, producer, scenario, product)  # noqa: E731
            yield f"{_words(producer)}: {producer.at}", act, actors
    for worker in actors.workers if not scenario.schedule else ():
        calls = notices.calls(worker) if scenario.notice else _worker_calls(worker, actors, scenario)
        for words, act, after in calls:
            run = lambda product, act=act, worker=worker: _with(actors, worker, act, product)  # noqa: E731
            yield f"{worker.slot}: {words}", run, actors.with_worker(after) if after else None
    if scenario.schedule:
        yield from schedules.calls(actors)
    if actors.operator:
        action = actors.operator[0]
        lost = actors if action in operators.REPEATED else None
        yield f"operator: {action}", lambda product: operators.act(actors, product), lost


def _with(actors: Actors, worker: Worker, act: WorkerAct, product: Product) -> Actors:
    after = act(product, worker)
    ran = worker.chunk is None and (worker.at, after.at) == ("run", "ack")
    return replace(actors.with_worker(after), done=actors.done | {name_in(worker.text)} if ran else actors.done)


# -- the producer


def _produce(actors: Actors, producer: Producer, scenario: Scenario, product: Product) -> Actors:
    done = actors.with_producer(replace(producer, at="done"))
    if producer.at == "put":
        product.put("lot", [f"m{index}" for index in range(scenario.messages)])
        return done
    if producer.at == "plan":
        schedules.plan(product, scenario)
        return done
    try:
        if producer.at == "create":
            begin = product.begin_append if scenario.appends else product.create
            feed = begin(producer.token, scenario.retries, scenario.limits)
            stored, ended = feed.stored, feed.input_ended
        elif producer.at == "append":
            stored, ended = _append(actors, producer, scenario, product), False
        elif producer.at == "close":
            product.close()
            return done
        else:
            _store_of(producer, scenario, product).end(BATCH, producer.token, 0)
            stored, ended = producer.stored, True
    except BatchCancelled:
        return done
    except AlreadyFeeding:
        # The command ends with an error, and its user repeats it.
        life = producer.life if producer.at == "create" else producer.life + 1
        return actors.with_producer(Producer("create", life, number=producer.number))
    after = actors.with_producer(replace(producer, at="done", stored=stored))
    at_end = "close" if scenario.appends and after.have_input else "done"
    following = at_end if ended else "append" if stored < scenario.items else "end"
    return after.with_producer(replace(producer, at=following, stored=stored))


def _store_of(producer: Producer, scenario: Scenario, product: Product) -> Append | Ledger:
    return product.append(producer.token, producer.stored) if scenario.appends else product.ledger


def _append(actors: Actors, producer: Producer, scenario: Scenario, product: Product) -> int:
    first, end = producer.stored, 0
    for count in scenario.blocks or (scenario.items,):
        end += count
        if end > first:
            break
    before = 100 * actors.generation + producer.number * scenario.items
    items = [str(before + index) for index in range(first, end)]
    by_value = "limit_by" in scenario.limits or "task_limit_by" in scenario.limits
    tells = by_value and not scenario.untold
    values = "".join(value_of(index) for index in range(first, end)) if tells else ""
    _store_of(producer, scenario, product).append(BATCH, producer.token, first, items, f"sha{before}-{end}", values)
    return end


# -- workers


def _worker_calls(worker: Worker, actors: Actors, scenario: Scenario) -> Iterator[tuple[str, WorkerAct, Worker | None]]:
    unsure = replace(worker, sure=False)
    if worker.at == "fetch":
        yield "fetch", _fetch, replace(worker, lost_sight=True)
    elif worker.at == "take":
        yield "take", _take, worker
    elif worker.at == "run" and worker.chunk is None:
        if scenario.outcomes.get(int(name_in(worker.text)[1:])) == "d" and not actors.done:
            yield "bury", _bury, unsure
        else:
            yield "run", lambda _, worker: replace(worker, at="ack"), None
        yield "hand back", _hand_back, unsure
        yield "postpone", _postpone, unsure
    elif worker.at == "tell":
        yield "tell values", _tell_values, worker
    elif worker.at == "run":
        yield from _run_calls(worker, scenario)
    elif worker.at == "ack":
        yield "ack", _acknowledge, unsure
        yield "fetch and ack", _fetch, replace(unsure, lost_sight=True)
    if scenario.items:
        yield "heartbeat", _heartbeat, None
    yield "scan", _scan, None
    if worker.lost_sight:
        yield "hand back what it lost sight of", _look, None


def _run_calls(worker: Worker, scenario: Scenario) -> Iterator[tuple[str, WorkerAct, Worker | None]]:
    """What a worker may do once it has run items of its chunk."""
    if not worker.rest:
        yield "record and go on", lambda product, worker: _record(product, worker, scenario, 0, True), worker
    yield "record", lambda product, worker: _record(product, worker, scenario, 0, False), worker
    if scenario.parts and len(worker.items) > 1:
        yield "record a part", lambda product, worker: _record(product, worker, scenario, 1, False), worker
    if scenario.gives and (worker.rest or len(worker.items) > 1):
        yield "give the rest", _give_rest, _giving(worker)


def _fetch(product: Product, worker: Worker) -> Worker:
    message = product.fetch(worker.name, [worker.tag] if worker.tag else [])
    if message is None:
        return worker.idle()
    chunk = chunk_in(message.text)
    at = "take" if chunk else "run"
    return worker.idle(
        at=at, tag=message.tag, text=message.text, returns=message.returns, chunk=chunk, running=chunk, sure=True
    )


def _take(product: Product, worker: Worker) -> Worker:
    assert worker.running is not None
    work = product.ledger.take(worker.running, worker.name)
    if not work:
        return replace(worker, at="ack")
    return _begun(worker, work)


def _begun(worker: Worker, work: Work) -> Worker:
    if work.limit_by:
        return replace(worker, at="tell", running=work.chunk, items=())
    return replace(worker, at="run", running=work.chunk, items=tuple(work.items))


def _tell_values(product: Product, worker: Worker) -> Worker:
    chunk = worker.running
    assert chunk is not None
    indexes = range(chunk.first, chunk.first + chunk.count)
    product.ledger.tell_values(chunk, "".join(map(value_of, indexes)))
    return replace(worker, at="ack", running=None)


def _giving(worker: Worker) -> Worker:
    """The worker once it runs only the first of its items, and does not know whether the server has the others."""
    assert worker.running is not None
    behind = worker.running.first + worker.running.count
    return replace(worker, items=worker.items[:1], rest=worker.rest or behind - worker.items[1].index)


def _give_rest(product: Product, worker: Worker) -> Worker:
    after = _giving(worker)
    chunk = worker.running
    assert chunk is not None
    if not product.ledger.give_rest(chunk, [], 0, worker.name, after.rest):
        return after
    return replace(after, running=replace(chunk, count=chunk.count - after.rest), rest=0)


def _record(product: Product, worker: Worker, scenario: Scenario, part: int, more: bool) -> Worker:
    chunk = worker.running
    assert chunk is not None
    items = worker.items[:part] if part else worker.items
    # What waits for the batch succeeds.
    outcomes = [outcome(item, scenario.state_of(item) if chunk.batch == BATCH else "s") for item in items]
    seconds = sum(each.seconds for each in outcomes)
    if more:
        _, work = product.ledger.record_and_go_on(chunk, outcomes, seconds, worker.name)
        if work:
            return _begun(worker, work)
    else:
        rest = chunk.first + chunk.count - items[-1].index - 1 if part else worker.rest
        product.ledger.record(chunk, outcomes, seconds, worker.name, rest)
    return replace(worker, at="ack", running=None, items=(), rest=0)


def _acknowledge(product: Product, worker: Worker) -> Worker:
    product.acknowledge(worker.name, worker.tag)
    return worker.idle()


def _bury(product: Product, worker: Worker) -> Worker:
    product.bury(worker.name, worker.tag)
    return worker.idle()


def _hand_back(product: Product, worker: Worker) -> Worker:
    product.hand_back(worker.name, [worker.tag])
    return worker.idle()


def _postpone(product: Product, worker: Worker) -> Worker:
    product.postpone(worker.name, worker.tag)
    return worker.idle()


def _heartbeat(product: Product, worker: Worker) -> Worker:
    product.heartbeat(worker.name, [worker.chunk] if worker.chunk else [])
    return worker


def _scan(product: Product, worker: Worker) -> Worker:
    product.reclaim(worker.name)
    return worker


def _look(product: Product, worker: Worker) -> Worker:
    unknown = [tag for tag in product.held(worker.name) if tag != worker.tag]
    if unknown:
        product.hand_back(worker.name, unknown)
    return replace(worker, lost_sight=False)
