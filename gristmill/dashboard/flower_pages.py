"""Flower's own pages where they would say what is not so: the first page, the health check, workers, the broker."""

import tornado.web
from tornado.web import url

from gristmill.dashboard import workers
from gristmill.dashboard.asking import AsksFirst, Showing, ping
from gristmill.dashboard.flower_internals import API, BrokerView, TaskView, WorkerView
from gristmill.dashboard.pages import Page
from gristmill.dashboard.visitors import ForVisitor


class HomePage(Page):
    """Opens on Throughput; also the prefix without its last slash, such as `/flower`."""

    def get(self) -> None:
        """Redirect."""
        self.redirect(self.reverse_url("throughput"))


class HealthCheck(Page):
    """Whether the dashboard can show anything, for a supervisor; it asks for no password, and tells nothing else."""

    async def get(self) -> None:
        """Answer OK, or 503 when the server does not answer or is a replica that has lost its primary."""
        try:
            await self.ask(ping)
        except tornado.web.HTTPError as error:
            why = "the server does not answer, or is a replica without its primary"
            raise tornado.web.HTTPError(503, why) from error
        self.finish("OK")


class TaskPage(ForVisitor, TaskView):
    """Flower's page of a task."""


class WorkerPage(AsksFirst, Showing, ForVisitor, WorkerView):
    """Flower's page of a worker, or what the server knows of one that does not answer Flower: a busy one is late."""

    @tornado.web.authenticated
    async def get(self, name: str) -> None:
        """Send the page."""
        try:
            await super().get(name)
        except tornado.web.HTTPError as error:
            if error.status_code != 404:
                raise
            rows = await self.ask(workers.with_name, self.application.observer, name)
            self.render("busy_worker.html", title=name, tab="workers", workers=rows)


class BrokerPage(AsksFirst, Showing, BrokerView):
    """Flower's page of the broker, which else shows no queue when the server is away."""


#: Flower's API; without a server, its own handlers end in a traceback.
FLOWER_API = [url(pattern, type(handler.__name__, (AsksFirst, handler), {})) for pattern, handler in API]
