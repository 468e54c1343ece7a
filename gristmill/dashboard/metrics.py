"""`/metrics`: Flower's metrics and ours, for Prometheus."""

import hmac
from collections.abc import Iterator
from functools import partial

import prometheus_client
import tornado.web
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gristmill.config.settings import settings
from gristmill.dashboard.flower_internals import BaseHandler
from gristmill.dashboard.metric_families import collect
from gristmill.dashboard.pages import Page


class Metrics(Page):
    """Flower's metrics and ours, for clients with the token or the password."""

    async def get(self) -> None:
        """Send the metrics in the text format of Prometheus."""
        self._authorise()
        families = await self.ask(
            self.application.shared_look.make, "metrics", partial(collect, self.application.observer)
        )
        self.application.purge_offline_worker_metrics()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(prometheus_client.REGISTRY) + generate_latest(_Families(families)))

    def _authorise(self) -> None:
        token = settings().metrics_token
        authorization = self.request.headers.get("Authorization", "")
        if token and hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return
        # Flower's method answers 401 itself.
        if self.application.guarded and BaseHandler.get_current_user(self):
            return
        if self.application.guarded or token:
            raise tornado.web.HTTPError(401)


class _Families(prometheus_client.CollectorRegistry):
    """A registry of metrics that are collected already."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        return iter(self._families)
