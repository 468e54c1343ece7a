"""`/metrics`: Flower's metrics and ours, for Prometheus."""

import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import prometheus_client
import tornado.web
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gristmill.batches.histogram import FIRST, bound
from gristmill.config.settings import settings
from gristmill.dashboard.autoscale_metrics import autoscale_metrics
from gristmill.dashboard.flower_internals import BaseHandler
from gristmill.dashboard.label_metrics import label_items
from gristmill.dashboard.pages import Page
from gristmill.fleet.meters import Series, TaskCount
from gristmill.fleet.overview import Observer, Overview

#: Exported histograms have every fifth bound: one to a decade is enough for alerts.
_STEP = 5
#: The first and the last exported bucket: 100 µs and 100,000 s.
_FROM, _TO = -20, 25


class Metrics(Page):
    """Flower's metrics and ours, for clients with the token or the password."""

    async def get(self) -> None:
        """Send the metrics in the text format of Prometheus."""
        self._authorise()
        families = await self.ask(collect, self.application.observer)
        self.application.purge_offline_worker_metrics()
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(generate_latest(prometheus_client.REGISTRY) + generate_latest(_Families(families)))

    def _authorise(self) -> None:
        token = settings().metrics_token
        authorization = self.request.headers.get("Authorization", "")
        if token and hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            return
        if self.application.guarded:
            # Flower's method answers 401 itself.
            if BaseHandler.get_current_user(self):
                return
            raise tornado.web.HTTPError(401)
        if token:
            raise tornado.web.HTTPError(401)


class _Families(prometheus_client.CollectorRegistry):
    """A registry of metrics that are collected already."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        return iter(self._families)


def collect(observer: Observer) -> list[Metric]:
    """Our metrics at this moment."""
    overview = observer.look()
    by_label = label_items(overview.batches, settings().metrics_labels)
    autoscale = autoscale_metrics(observer, overview.at)
    return [*_counters(observer.meters.totals()), *_gauges(overview), *_batches(overview), by_label, *autoscale]


def _counters(totals: Mapping[Series, TaskCount]) -> Iterator[Metric]:
    items = CounterMetricFamily(
        "gristmill_items",
        "Items with an outcome, and plain Celery tasks that ended.",
        labels=["queue", "task", "state"],
    )
    busy = CounterMetricFamily("gristmill_busy_seconds", "Seconds of work in slots.", labels=["queue", "task"])
    run = HistogramMetricFamily("gristmill_run_seconds", "Run time of items.", labels=["queue", "task"])
    wait = HistogramMetricFamily(
        "gristmill_wait_seconds", "Time from the storing of an item to its start.", labels=["queue", "task"]
    )
    for series, count in sorted(totals.items()):
        items.add_metric([*series, "succeeded"], count.succeeded)
        items.add_metric([*series, "failed"], count.failed)
        busy.add_metric([*series], count.busy)
        run.add_metric([*series], *_histogram(count.runs))
        wait.add_metric([*series], *_histogram(count.waits))
    return iter((items, busy, run, wait))


def _histogram(counts: Mapping[int, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets by their bound, and the sum, which is an estimate from the buckets."""
    buckets, below = [], sum(counts.get(number, 0) for number in range(FIRST, _FROM))
    for number in range(_FROM, _TO + 1):
        below += counts.get(number, 0)
        if number % _STEP == 0:
            buckets.append((f"{bound(number):g}", float(below)))
    buckets.append(("+Inf", float(sum(counts.values()))))
    return buckets, sum(number_of * bound(number) for number, number_of in counts.items())


def _gauges(overview: Overview) -> Iterator[Metric]:
    texts = {
        "left": ("gristmill_queue_items", "Items left (without an outcome) in batches that are not paused."),
        "paused": ("gristmill_queue_paused_items", "Items left in paused batches."),
        "oldest": ("gristmill_queue_oldest_seconds", "Age of the oldest item left."),
        "slots": ("gristmill_queue_slots", "Slots of the live workers."),
        "busy": ("gristmill_queue_busy_slots", "Slots that run a message now."),
        "workers": ("gristmill_queue_workers", "Live workers."),
    }
    for what, (name, text) in texts.items():
        yield _gauge(name, text, "queue", ((queue.name, getattr(queue, what)) for queue in overview.queues))
    slots = GaugeMetricFamily("gristmill_worker_slots", "Slots of a live worker.", labels=["worker", "host", "queue"])
    busy = GaugeMetricFamily(
        "gristmill_worker_busy_slots",
        "Slots of a live worker that run a message now.",
        labels=["worker", "host", "queue"],
    )
    # Workers that share a name share a series.
    labels = sorted({(worker.name, worker.host, worker.queue) for worker in overview.workers})
    for series in labels:
        same = [worker for worker in overview.workers if (worker.name, worker.host, worker.queue) == series]
        slots.add_metric(series, sum(worker.slots for worker in same))
        busy.add_metric(series, sum(worker.busy for worker in same))
    yield from (slots, busy)
    hosts = {worker.host: worker for worker in overview.workers}
    yield _gauge(
        "gristmill_host_cpu_percent",
        "Share of the host's cores that is busy, in percent.",
        "host",
        ((h, w.cpu) for h, w in hosts.items()),
    )
    used = ((host, worker.used << 20) for host, worker in hosts.items())
    yield _gauge("gristmill_host_memory_used_bytes", "Memory in use on the host.", "host", used)


def _batches(overview: Overview) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "gristmill_batch_items",
        "Items of a batch that has not ended, by state; left: without an outcome.",
        labels=["batch", "task", "state"],
    )
    for info in overview.batches:
        for state in ("succeeded", "failed", "cancelled", "dead", "left"):
            family.add_metric([info.name, info.task, state], getattr(info, state))
    yield family


def _gauge(name: str, text: str, label: str, values: Iterable[tuple[str, Any]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for about, value in values:
        family.add_metric([about], value)
    return family
