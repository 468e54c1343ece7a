"""Our pages and the JSON that they show; all of it escaped by the template, or put into the page as text."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar

import tornado.web
from flower.views import BaseHandler

from gristmill.dashboard import batchview, throughput
from gristmill.dashboard.history import RANGES
from gristmill.errors import GristmillError
from gristmill.server.connection import reaching

Answer = TypeVar("Answer")

#: Nothing is loaded from elsewhere, and no script stands in a page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page(BaseHandler):
    """One of our pages."""

    def set_default_headers(self) -> None:
        """Flower's headers and ours."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def check_xsrf_cookie(self) -> None:
        """Ask for the token always; Flower's own does not when nobody has to log in."""
        tornado.web.RequestHandler.check_xsrf_cookie(self)

    async def ask(self, question: Callable[..., Answer], *arguments: Any, refused: int = 404) -> Answer:
        """Ask the server in a thread: the loop has others to serve. What is no good answers with `refused`."""

        def answer() -> Answer:
            with reaching():
                return question(*arguments)

        try:
            return await asyncio.to_thread(answer)
        except GristmillError as error:
            status = refused if error.exit_code == 2 else 503
            raise tornado.web.HTTPError(status, "%s", str(error)) from error

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """What went wrong, in a line; a traceback stays in the log."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if status_code == 401:
            super().write_error(status_code, **kwargs)
            return
        said = isinstance(error, tornado.web.HTTPError) and error.log_message and error.get_message()
        self.set_status(status_code)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{said or self._reason}\n")

    def show(self, template: str, **values: Any) -> None:
        """Render one of our templates."""
        self.render(template, read_only=self.application.options.read_only, **values)

    def give(self, value: Any) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value, separators=(",", ":")))


class HomePage(Page):
    """`/flower` for `/flower/`."""

    def get(self) -> None:
        """Go there."""
        self.redirect(self.reverse_url("main"))


class ThroughputPage(Page):
    """Rates, backlog and times."""

    @tornado.web.authenticated
    def get(self) -> None:
        """The page."""
        self.show("throughput.html")


class ThroughputData(Page):
    """What it shows."""

    @tornado.web.authenticated
    async def get(self) -> None:
        """JSON; `range` is live, 1h, 6h or 24h."""
        name = self.get_query_argument("range", "live")
        if name not in RANGES:
            raise tornado.web.HTTPError(400, "%s", f"range {name!r} is not allowed: one of {', '.join(RANGES)} is")
        self.give(await self.ask(throughput.data, self.application, name))


class BatchesPage(Page):
    """The list of batches."""

    @tornado.web.authenticated
    def get(self) -> None:
        """The page."""
        self.show("batches.html")


class BatchesData(Page):
    """What it shows."""

    @tornado.web.authenticated
    async def get(self) -> None:
        """JSON: the newest batches."""
        self.give(await self.ask(batchview.listed, self.application.observer))


class BatchPage(Page):
    """One batch."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """The page."""
        info = await self.ask(batchview.find, self.application.observer, name)
        self.show("batch.html", batch=info)


class BatchData(Page):
    """What it shows."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """JSON; `after` is the index behind which failed items are listed."""
        try:
            after = int(self.get_query_argument("after", "-1"))
        except ValueError:
            raise tornado.web.HTTPError(400, "after: an index is allowed") from None
        self.give(await self.ask(batchview.data, self.application.observer, name, after))
