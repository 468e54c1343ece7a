"""The actions of pages: on a batch, on several, on an item, on a schedule; and the download of a batch's results."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import tornado.web

from gristmill.batches.control import Control
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.schedules import Schedules
from gristmill.batches.workflow import workflow_of
from gristmill.config.settings import settings
from gristmill.dashboard import batches
from gristmill.dashboard.pages import Page
from gristmill.dashboard.visitors import visitor
from gristmill.errors import InputError
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.actor import acting
from gristmill.server.connection import client

#: Results to send before the next are read.
_AT_ONCE, _CHARACTERS = 500, 4 << 20
#: What a batch's reason says.
_WHERE = "on the dashboard"
#: Why an action changed nothing.
_NOTHING = {"retry": "has no failed or dead item", "cancel": "has ended"}


Answer = TypeVar("Answer")


def _act_on_batch(name: str, what: str, **options: bool) -> bool:
    """Take an action on a batch; False when there was nothing to do."""
    control = Control(client(), settings())
    if what == "cancel":
        return control.cancel(name, _WHERE) is not None
    return bool(getattr(control, what)(name, **options))


def _act_on_workflow(name: str, what: str) -> None:
    """Take an action on each batch of a workflow: cancel the followers first, so that none of them begins meanwhile."""
    infos = workflow_of(Ledger(client(), settings()), name)
    options, reasons = {"workflow": True} if what == "retry" else {}, []
    for info in reversed(infos) if what == "cancel" else infos:
        try:
            _act_on_batch(info.name, what, **options)
        except InputError as error:
            reasons.append(str(error))
    if reasons:
        raise InputError("; ".join(reasons))


class Acting(Page):
    """Takes actions in the name of the visitor, which the log of actions has."""

    async def act(self, action: Callable[..., Answer], *arguments: Any, bad_input: int = 404) -> Answer:
        """Take an action, as `ask` asks a question."""
        # Where nobody has to log in, it is whoever the request comes from.
        user = visitor(self.application, self.request) or f"anyone@{self.request.remote_ip}"
        with acting(user, "dashboard"):
            return await self.ask(action, *arguments, bad_input=bad_input)


class Action(Acting):
    """Takes one action on a batch, for a form with the token of its page."""

    #: Takes the action, given the batch and the word for it.
    take: Callable[[str, str], object] = staticmethod(_act_on_batch)

    @tornado.web.authenticated
    async def post(self, name: str, what: str) -> None:
        """Take the action `what`, then show the batch again."""
        self.check_writable()
        await self.ask(_find, name)
        await self.act(self.take, name, what, bad_input=409)
        self.redirect(self.reverse_url("batch", name))


class WorkflowAction(Action):
    """Takes one action on all batches of the workflow of a batch."""

    take = staticmethod(_act_on_workflow)


class ActionOnMany(Acting):
    """Takes one action on each of several batches, for a request with the token of the page."""

    @tornado.web.authenticated
    async def post(self, what: str) -> None:
        """Take the action `what` on each `name` of the form; answer how many it changed, and why it did not others."""
        self.check_writable()
        names = dict.fromkeys(self.get_body_arguments("name"))
        if not names:
            raise tornado.web.HTTPError(400, "%s", "invalid value for name: none (expected the names of batches)")
        changed, reasons = await self.act(_act_on_many, names, what)
        self.give({"changed": changed, "reasons": reasons})


class CancelItem(Acting):
    """Cancels one item, for a form with the token of its page."""

    @tornado.web.authenticated
    async def post(self, name: str, index: str) -> None:
        """Cancel the item, then show what runs again."""
        self.check_writable()
        await self.ask(_find, name)
        number = int(index)
        await self.act(lambda: Control(client(), settings()).cancel_item(name, number, f"item {number} {_WHERE}"))
        self.redirect(self.reverse_url("busy"))


class WorkerAction(Acting):
    """Drains a worker, takes it back, or stops it once it has drained, for a form with the token of its page."""

    @tornado.web.authenticated
    async def post(self, what: str) -> None:
        """Take the action `what` on the worker whose id is `worker` in the form, then show the list again."""
        self.check_writable()
        await self.act(_act_on_worker, self.get_body_argument("worker"), what)
        self.redirect(self.reverse_url("workers"))


class ScheduleAction(Acting):
    """Takes one action on a schedule, for a form with the token of its page."""

    @tornado.web.authenticated
    async def post(self, name: str, what: str) -> None:
        """Take the action `what`, then show the list again."""
        self.check_writable()
        await self.act(lambda: getattr(Schedules(client(), settings()), what)(name))
        self.redirect(self.reverse_url("batches"))


def _find(name: str) -> BatchInfo:
    """The batch, read apart from what others look at: they do not wait as long for the server."""
    return batches.find(Ledger(client(), settings()), name)


def _act_on_worker(identity: str, what: str) -> None:
    fleet = WorkerRegistry(client(), settings())
    if identity not in {worker.id for worker in fleet.workers()}:
        raise InputError(f"no live worker has the id {identity!r}: it has ended")
    if what == "undrain":
        fleet.undrain(identity)
    else:
        fleet.drain(identity, stop=what == "stop")


def _act_on_many(names: Iterable[str], what: str) -> tuple[int, list[str]]:
    changed, reasons = 0, []
    for name in names:
        try:
            _find(name)
            if _act_on_batch(name, what):
                changed += 1
            else:
                reasons.append(f"batch {name!r} {_NOTHING[what]}")
        except InputError as error:
            reasons.append(str(error))
    return changed, reasons


class Results(Page):
    """A batch's results as JSON lines, by index."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """Send the file, with `failed=1` of failed items only, while reading it: memory stays flat."""
        info = await self.ask(batches.find, self.application.observer.ledger, name)
        only_failed = self.get_query_argument("failed", "") == "1"
        reader = ResultReader(client(), settings(), name)
        results = reader.failed(0) if only_failed else reader.in_order(0, info.submitted)
        self.set_header("Content-Type", "application/jsonl; charset=utf-8")
        kind = "-failed" if only_failed else ""
        self.set_header("Content-Disposition", f'attachment; filename="{name}{kind}.jsonl"')
        lines = (result.to_json() + "\n" for result in reader.with_values(results))
        while text := await self.ask(_next, lines, looks=False):
            self.write(text)
            await self.flush()


def _next(lines: Iterator[str]) -> str:
    page: list[str] = []
    size = 0
    for line in islice(lines, _AT_ONCE):
        page.append(line)
        size += len(line)
        if size > _CHARACTERS:
            break
    return "".join(page)
