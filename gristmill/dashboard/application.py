"""The dashboard's application: Flower's, subclassed, with the tabs Throughput, Batches, Busy and Audit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

from celery import Celery
from redis.exceptions import RedisError
from tornado.ioloop import PeriodicCallback
from tornado.web import RequestHandler, StaticFileHandler, url

from gristmill.config.flower import check_oauth, check_reach, flower_options
from gristmill.config.settings import settings
from gristmill.dashboard import actions, audit, busy, flower_pages, metrics, pages, queues, workers
from gristmill.dashboard.asking import looking, threads
from gristmill.dashboard.batch_list import BatchList
from gristmill.dashboard.celery_app import AppView, forget_user_modules
from gristmill.dashboard.flower_internals import Flower, default_options, rewrite_handler, run_instead, set_defaults
from gristmill.dashboard.history import History
from gristmill.dashboard.message_watch import MessageWatch
from gristmill.dashboard.shared_look import SharedLook
from gristmill.dashboard.templates import Templates
from gristmill.dashboard.visitors import Refusal, is_refused
from gristmill.errors import SettingError
from gristmill.fleet.meters import Meters
from gristmill.fleet.overview import Observer
from gristmill.fleet.server_cpu import ServerCpu
from gristmill.server.stale_replica import StaleReplica

STATIC = Path(__file__).parent / "static"
#: Milliseconds between two samples of the queues, which workers sample too; as often, a search may come due.
_SAMPLE_MS = 1000

log = logging.getLogger(__name__)

HANDLERS = [
    url(r"/", flower_pages.HomePage),
    url(r"/healthcheck", flower_pages.HealthCheck),
    # Flower's own list counts events, which are off.
    url(r"/workers", pages.TabPage, {"tab": "workers"}),
    url(r"/workers/data", pages.FleetData, {"data": workers.data}, name="workers_data"),
    url(r"/workers/(drain|undrain|stop)", actions.WorkerAction, name="worker_action"),
    url(r"/worker/(.+)", flower_pages.WorkerPage),
    url(r"/task/(.+)", flower_pages.TaskPage),
    url(r"/broker", flower_pages.BrokerPage),
    *flower_pages.FLOWER_API,
    url(r"/throughput", pages.TabPage, {"tab": "throughput"}, name="throughput"),
    url(r"/throughput/data", pages.ThroughputData, name="throughput_data"),
    url(r"/batches", pages.BatchesPage, name="batches"),
    url(r"/batches/data", pages.BatchesData, name="batches_data"),
    url(r"/batches/(retry|cancel)", actions.ActionOnMany, name="batches_action"),
    url(r"/batch/([^/]+)", pages.BatchPage, name="batch"),
    url(r"/batch/([^/]+)/data", pages.BatchData, name="batch_data"),
    url(r"/batch/([^/]+)/errors", pages.BatchErrors, name="batch_errors"),
    url(r"/batch/([^/]+)/results", actions.Results, name="batch_results"),
    url(r"/batch/([^/]+)/(retry|cancel|pause|resume)", actions.Action, name="batch_action"),
    url(r"/batch/([^/]+)/workflow/(retry|cancel|pause|resume)", actions.WorkflowAction, name="workflow_action"),
    url(r"/busy", pages.TabPage, {"tab": "busy"}, name="busy"),
    url(r"/busy/data", pages.FleetData, {"data": busy.data}, name="busy_data"),
    url(r"/audit", pages.TabPage, {"tab": "audit"}, name="audit"),
    url(r"/audit/data", pages.FleetData, {"data": audit.data}, name="audit_data"),
    url(r"/batch/([^/]+)/item/([0-9]{1,10})/cancel", actions.CancelItem, name="item_cancel"),
    url(r"/schedule/([^/]+)/(run|pause|resume)", actions.ScheduleAction, name="schedule_action"),
    url(r"/metrics", metrics.Metrics),
    url(r"/gristmill/(.*)", StaticFileHandler, {"path": str(STATIC)}, name="gristmill_static"),
]


class Dashboard(Flower):
    """Flower with our pages. It listens on loopback only, or asks for a password."""

    def __init__(self, options: Any = None, **kwargs: Any) -> None:
        options = options or default_options
        kwargs["template_loader"] = Templates()
        kwargs["xsrf_cookie_kwargs"] = {"samesite": "Strict"}
        app = kwargs.pop("capp", None) or Celery()
        forget_user_modules(app, settings())
        super().__init__(options=options, capp=app, **kwargs)
        self.capp: Any = AppView(app, self._announced)
        prefix = options.url_prefix
        own = [rewrite_handler(handler, prefix) for handler in HANDLERS] if prefix else HANDLERS
        if prefix:
            own = [*own, url(f"/{prefix.strip('/')}", flower_pages.HomePage)]
        self.add_handlers(r".*", own)
        self.stale_replica = StaleReplica()
        self.server_cpu = ServerCpu()
        calls = {"sampling the queues": self._sample, "the search for messages that nobody takes": self._search}
        # Apart: a search may take long, and the charts would have a gap meanwhile.
        self.heartbeats = [PeriodicCallback(partial(_try, *call), _SAMPLE_MS) for call in calls.items()]

    @cached_property
    def observer(self) -> Observer:
        """The observer of the fleet."""
        return Observer(looking(), settings())

    @cached_property
    def history(self) -> History:
        """The numbers of the charts."""
        return History(Meters(looking(), settings()))

    @cached_property
    def shared_look(self) -> SharedLook:
        """The fleet for all visitors of the same second."""
        return SharedLook(self.observer.look)

    @cached_property
    def message_watch(self) -> MessageWatch:
        """The messages that nobody takes."""
        return MessageWatch(self.observer, self.shared_look)

    @cached_property
    def batch_list(self) -> BatchList:
        """The list of batches."""
        return BatchList(self.observer)

    def _announced(self) -> set[str]:
        return {task for worker in self.observer.fleet.workers() for task in worker.tasks}

    @property
    def guarded(self) -> bool:
        """Whether a visitor has to log in."""
        return bool(self.options.basic_auth or self.options.auth)

    def start_http_server(self) -> Any:
        """Listen, unless everybody could open the pages then, or nobody."""
        try:
            check_oauth(lambda name: self.options[name])
            if not self.options.unix_socket:
                check_reach(self.options.address, guarded=self.guarded)
        except SettingError as error:
            # `celery flower` has no other way to exit with one line.
            raise SystemExit(f"dashboard: {error}") from error
        return super().start_http_server()

    def start(self) -> None:
        """Run until somebody stops it."""
        for heartbeat in self.heartbeats:
            heartbeat.start()
        try:
            if self._may_write():
                super().start()
            else:
                # Buttons would be of no use; and to listen to workers, or to ask them, takes a queue of one's own.
                self.options.read_only, self.options.enable_events = True, False
                self.started = True
                self.io_loop.start()
        finally:
            self.stop()

    def update_workers(self, workername: str | None = None) -> Awaitable[Any]:
        """Ask the workers, or one of them, what they are."""
        if self._may_write():
            return cast(Awaitable[Any], super().update_workers(workername))
        nothing = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        return nothing

    def _may_write(self) -> bool:
        """Whether the user of the server may change batches, and have a queue; true until the server has said so."""
        try:
            return self.observer.may_write
        except RedisError:
            return True

    def _sample(self) -> None:
        """Sample the queues, and the server's CPU, which takes two looks."""
        self.observer.sample()
        self.server_cpu.look(self.observer.client)

    def _search(self) -> None:
        self.message_watch.renew()

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        """The handler of a request; without a password, only for this host's own names (against DNS rebinding)."""
        if not self.guarded and not self._is_ours(request.host_name):
            return self.get_handler_delegate(request, Stranger, {}, [], {})
        if is_refused(self, request):
            return self.get_handler_delegate(request, Refusal, {}, [], {})
        return super().find_handler(request, **kwargs)

    def _is_ours(self, host: str) -> bool:
        return bool(self.options.unix_socket) or host == self.options.address or is_loopback_name(host)


async def _try(what: str, call: Callable[[], None]) -> None:
    try:
        # In threads of its own: Flower asks workers in those of the loop, and holds them for long.
        await asyncio.get_running_loop().run_in_executor(threads(what), call)
    except Exception as error:
        log.warning("%s failed, retrying: %s", what, error)


class Stranger(RequestHandler):
    """Refuses a request whose host name is not this host's: another site's name may lead here."""

    def prepare(self) -> None:
        """Answer every request with 403."""
        self.set_status(403)
        self.set_header("Content-Type", "text/plain")
        self.finish(
            "Without a password (GRISTMILL_DASHBOARD_PASSWORD) the dashboard answers only under the name localhost.\n"
        )


def is_loopback_name(host: str) -> bool:
    """Whether a host name means this host, whatever a name server answers."""
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def install() -> None:
    """Make `celery flower` and `python -m gristmill.dashboard` run the dashboard, with the options of the settings."""
    run_instead(Dashboard)
    queues.install()
    set_defaults(flower_options(settings()))
