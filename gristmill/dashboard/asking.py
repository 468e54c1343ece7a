"""How a page asks the server: in a thread, and not for long when the server is away or silent."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar

import tornado.web
from redis import Redis

from gristmill.dashboard.flower_internals import BaseHandler
from gristmill.dashboard.visitors import READING, only_looks
from gristmill.errors import GristmillError
from gristmill.server.connection import connect, locate, reaching
from gristmill.server.per_process import PerProcess
from gristmill.server.waiting import Deadline, within

Answer = TypeVar("Answer")

#: Seconds for which a look waits for a server that is away, and for one that is there but silent.
LOOK_SECONDS, SILENT_SECONDS = 1.0, 2.0

#: Questions of one kind at the same time.
_QUESTIONS_MOST = 16

_clients: PerProcess[str, Redis] = PerProcess()


def to_json(value: Any) -> str:
    """The JSON of what a page asks for."""
    return json.dumps(value, separators=(",", ":"))


def looking() -> Redis:
    """The client of those who look: it waits SILENT_SECONDS for an answer, while others wait out a busy disk.

    Raises:
        ServerError, SettingError: as with `connect`.
    """
    url = locate()
    return _clients.get(url, lambda: connect(url, answer_seconds=SILENT_SECONDS))


@cache
def threads(kind: Any) -> ThreadPoolExecutor:
    """The threads of one kind of question: those of a kind that is slow, or that waits, hold up no other kind."""
    return ThreadPoolExecutor(_QUESTIONS_MOST, thread_name_prefix=f"{kind}")


class Asking(BaseHandler):
    """A page that asks the server."""

    @property
    def kind(self) -> Any:
        """What kind of question this page asks."""
        return type(self)

    async def ask(
        self, question: Callable[..., Answer], *arguments: Any, bad_input: int = 404, looks: bool | None = None
    ) -> Answer:
        """Call `question` in a thread: the loop has other requests. `bad_input` is the HTTP status of an InputError.

        Whoever only `looks`, by default everybody who changes nothing, asks again soon: the answer may not be long in
        coming. Others wait out a server that is away, and are of one kind.
        """
        looks = self.request.method in READING if looks is None else looks

        def answer() -> Answer:
            with reaching(), within(Deadline(LOOK_SECONDS if looks else None)):
                if looks:
                    self.application.stale_replica.refuse(looking())
                return question(*arguments)

        try:
            executor = threads(self.kind if looks else Asking)
            return await asyncio.get_running_loop().run_in_executor(executor, copy_context().run, answer)
        except GristmillError as error:
            status = bad_input if error.exit_code == 2 else 503
            raise tornado.web.HTTPError(status, "%s", str(error)) from error


class AsksFirst(Asking):
    """A page of Flower's that asks the server, or its workers: it says at once that the server is away."""

    async def prepare(self) -> None:
        """Ask the server whether it is there, for whoever may see the answer."""
        super().prepare()
        if self.current_user:
            await self.ask(ping, looks=True)


def ping() -> None:
    """Ask the server for a sign of life.

    Raises:
        RedisError: there is none.
    """
    looking().ping()


class Showing(Asking):
    """A page with our templates, whose errors are one line."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the error as one line, to a browser on a page with the tabs; the traceback stays in the log."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if status_code == 401:
            super().write_error(status_code, **kwargs)
            return
        message = isinstance(error, tornado.web.HTTPError) and error.log_message and error.get_message()
        text = message or HTTPStatus(status_code).phrase
        self.set_status(status_code)
        if "text/html" in self.request.headers.get("Accept", ""):
            self.show("failure.html", str(status_code), "", text=text)
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{text}\n")

    def show(self, template: str, title: str, tab: str, **values: Any) -> None:
        """Render one of our templates, with the tab of that name marked."""
        read_only = only_looks(self.application, self.request)
        self.render(template, title=title, tab=tab, read_only=read_only, **values)
