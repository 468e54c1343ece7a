"""Our pages and their JSON. Templates escape all values, and scripts insert them as text."""

import re
from collections.abc import Callable
from typing import Any

import tornado.web

from gristmill.batches.info import ENDED, State
from gristmill.config.settings import variable
from gristmill.dashboard import batches, throughput
from gristmill.dashboard.asking import Showing, to_json
from gristmill.dashboard.batch_list import SORTS, BatchQuery
from gristmill.dashboard.error_groups import error_groups
from gristmill.dashboard.history import RANGES
from gristmill.fleet.overview import Observer

#: Pages load nothing from other sites, and contain no inline script.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


#: The index of an item, or -1: before the first one.
_INDEX = re.compile(r"-1|[0-9]{1,10}", re.ASCII)


class Page(Showing):
    """One of our pages."""

    def set_default_headers(self) -> None:
        """Set Flower's headers and ours."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def check_xsrf_cookie(self) -> None:
        """Require the token always; Flower does not when nobody has to log in."""
        tornado.web.RequestHandler.check_xsrf_cookie(self)

    def get_login_url(self) -> str:
        """Where a browser logs in; a script, which cannot follow to another site, is told that it has to."""
        if "text/html" not in self.request.headers.get("Accept", ""):
            raise tornado.web.HTTPError(403, "%s", "nobody is logged in, or no longer: open the page again")
        return str(super().get_login_url())

    def check_writable(self) -> None:
        """Refuse an action on a dashboard that only shows."""
        if self.application.options.read_only:
            why = f"{variable('dashboard_read_only')} is true, or its user of the server may only read"
            raise tornado.web.HTTPError(403, "%s", f"the dashboard is read-only: {why}")

    def give(self, value: Any) -> None:
        """Answer with JSON; a text is JSON already."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(value if isinstance(value, str) else to_json(value))


class TabPage(Page):
    """The page of a tab whose script asks for all that it shows."""

    def initialize(self, tab: str) -> None:
        """Note the name of the tab, which is that of the template too."""
        self._tab = tab

    @tornado.web.authenticated
    def get(self) -> None:
        """Send the page."""
        self.show(f"{self._tab}.html", self._tab.capitalize(), self._tab)


class FleetData(Page):
    """The JSON of such a page."""

    def initialize(self, data: Callable[[Observer], dict[str, Any]]) -> None:
        """Note what reads it from the server."""
        self._data = data

    @property
    def kind(self) -> Any:
        """Each of these pages is a kind of its own."""
        return self._data

    @tornado.web.authenticated
    async def get(self) -> None:
        """Send JSON."""
        self.give(await self.ask(self._data, self.application.observer))


class ThroughputData(Page):
    """The JSON of the page Throughput."""

    @tornado.web.authenticated
    async def get(self) -> None:
        """Send JSON; the query's `range` is live, 1h, 6h or 24h."""
        name = self.get_query_argument("range", "live")
        if name not in RANGES:
            raise tornado.web.HTTPError(400, "%s", f"invalid value for range: {name!r} (expected {', '.join(RANGES)})")
        self.give(await self.ask(throughput.data, self.application, name))


class BatchesPage(Page):
    """The page that lists batches."""

    @tornado.web.authenticated
    def get(self) -> None:
        """Send the page."""
        states = [str(state) for state in State]
        not_ended = ",".join(state for state in states if state not in ENDED)
        self.show("batches.html", "Batches", "batches", states=states, not_ended=not_ended, sorts=SORTS)


class BatchesData(Page):
    """The JSON of the page."""

    @tornado.web.authenticated
    async def get(self) -> None:
        """Send a page of the batches that the query selects as JSON."""
        names = self.request.query_arguments
        query = await self.ask(BatchQuery.of, {name: self.get_query_arguments(name) for name in names}, bad_input=400)
        self.give(await self.ask(self.application.batch_list.page, query))


class BatchPage(Page):
    """The page of one batch."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """Send the page."""
        info = await self.ask(batches.find, self.application.observer.ledger, name)
        self.show("batch.html", name, "batches", batch=info)


class BatchData(Page):
    """The JSON of the page."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """Send JSON, with the failed items behind the index `after` of the query."""
        after = self.get_query_argument("after", "-1")
        if not _INDEX.fullmatch(after):
            raise tornado.web.HTTPError(400, "%s", f"invalid value for after: {after!r} (expected an index)")
        self.give(await self.ask(batches.data, self.application.observer, name, int(after)))


class BatchErrors(Page):
    """The errors of a batch, equal ones together."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """Send JSON."""
        observer = self.application.observer
        await self.ask(batches.find, observer.ledger, name)
        self.give(await self.ask(error_groups, observer, name))
