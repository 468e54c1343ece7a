"""The notices of a batch: what workers do with them, how time passes, and what holds of them in every state."""

import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from gristmill.batches.notices import Notice
from tests.model.product import BATCH, LEASE_MS, STEP_MS, Product, claim_token, end_notice
from tests.model.step import Step, WorkerAct
from tests.model.store import View
from tests.model.world import Actors, Worker


def calls(worker: Worker) -> Iterator[tuple[str, WorkerAct, Worker | None]]:
    """The calls of a worker: it claims a notice, and notes what became of it."""
    if worker.at == "fetch":
        yield "claim", _claim, worker
    elif worker.at == "note":
        yield "note the delivery", _note, worker
    elif worker.at == "put off":
        yield "put it off", _put_off, worker


def others(actors: Actors) -> Iterator[Step]:
    """The POST of a worker, and the passing of time: a fault while a worker is at a notice, whose claim ends then."""
    rest = replace(actors, faults=actors.faults - 1)
    for worker in actors.workers:
        if worker.at != "send":
            continue
        done = actors.done | {worker.read[0]}
        yield Step(f"{worker.slot}: POST", None, after=_at(replace(actors, done=done), worker, "note"))
        if actors.faults:
            yield Step(f"{worker.slot}: POST, refused", None, True, _at(rest, worker, "put off"))
            yield Step(
                f"{worker.slot}: POST, answer lost", None, True, _at(replace(rest, done=done), worker, "put off")
            )
    busy = any(worker.at != "fetch" for worker in actors.workers)
    if actors.faults or not busy:
        after = rest if busy else actors
        yield Step("time passes", lambda product: _pass(after, product), busy)


def _at(actors: Actors, worker: Worker, at: str) -> Actors:
    return actors.with_worker(replace(worker, at=at))


def _pass(actors: Actors, product: Product) -> Actors:
    now = actors.now + STEP_MS
    product.set_clock(now)
    return replace(actors, now=now)


def _claim(product: Product, worker: Worker) -> Worker:
    # A call whose answer was lost is repeated with its token.
    product.begin_action(claim_token(worker.name, worker.claims)[:-1])
    notice = product.notices.claim(LEASE_MS / 1000)
    if notice is None:
        return worker
    return replace(worker, at="send", read=(notice.id, notice.claim), claims=worker.claims + 1)


def _note(product: Product, worker: Worker) -> Worker:
    product.notices.note_delivery(_read(worker))
    return worker.idle(claims=worker.claims)


def _put_off(product: Product, worker: Worker) -> Worker:
    product.notices.put_off(_read(worker), "why", 1)
    return worker.idle(claims=worker.claims)


def _read(worker: Worker) -> Notice:
    notice, claim = worker.read
    return cast(Notice, SimpleNamespace(id=notice, claim=claim))


def ended(actors: Actors, view: View) -> bool:
    """Whether nobody has to send anything, or is about to."""
    return not view.get("notices") and all(worker.at == "fetch" for worker in actors.workers)


def violations(actors: Actors, view: View, unlucky: bool) -> Iterator[str]:
    """Each end is told: its notice waits until somebody has it, and counts as delivered then."""
    state = view.get("state", {})
    last: dict[str, Any] = json.loads(state.get("notice", "null")) or {}
    if "finished" in state and last.get("id") != end_notice(BATCH, state):
        yield "the batch has ended, and has no notice of that"
    waiting = {name for name, _ in view.get("notices", ())}
    written = {part.removeprefix("notice:") for part in view if part.startswith("notice:")}
    if waiting != written:
        yield f"{len(written)} notices are written, and {len(waiting)} wait for somebody to send them"
    if last and (last["state"] == "pending") != (last["id"] in waiting):
        yield f"the batch says that its notice is {last['state']}, and {len(waiting)} wait"
    if last.get("state") == "delivered" and last["id"] not in actors.done:
        yield "a notice counts as delivered, and nobody has sent it"
    at_it = [worker.read[0] for worker in actors.workers if worker.at in ("send", "note", "put off")]
    if not unlucky and len(set(at_it)) != len(at_it):
        yield "two workers send one notice, though nothing went wrong"
