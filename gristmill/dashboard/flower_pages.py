"""Flower's own pages where they would say what is not so: the first page, the health check, workers, the broker."""

from functools import cache
from typing import Any

import tornado.web
from tornado.web import url

from gristmill.dashboard import workers
from gristmill.dashboard.asking import AsksFirst, Showing, ping, threads
from gristmill.dashboard.flower_internals import API, BlockingOperationRunner, BrokerView, TaskView, WorkerView
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


class WorkerPage(AsksFirst, Showing, WorkerView):
    """Flower's page of a worker, or what the server knows of one that does not answer Flower: a busy one is late.

    Without Flower's buttons, whoever looks: those of the page Workers do what the fleet counts, and with no password
    Flower refuses what its own would send.
    """

    def render(self, *templates: Any, **values: Any) -> Any:
        """Render a template."""
        return super().render(*templates, **{**values, "read_only": True})

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


@cache
def _runner(kind: Any) -> BlockingOperationRunner:
    """What makes the calls of one kind that take long, a few at a time."""
    return BlockingOperationRunner(threads(kind))


class ApiHandler(AsksFirst):
    """A handler of Flower's API; without a server, its own end in a traceback."""

    async def run_blocking(self, *arguments: Any, **options: Any) -> Any:
        """Call what takes long: `apply` waits for the end of a task, and Flower would have all others wait for that."""
        return await _runner(self.kind).run(*arguments, **options)


FLOWER_API = [url(pattern, type(handler.__name__, (ApiHandler, handler), {})) for pattern, handler in API]
