"""The metrics of the autoscale that acts: what it has decided for each queue."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from gristmill.fleet.autoscale_seat import autoscale_now
from gristmill.fleet.overview import Observer


def autoscale_metrics(observer: Observer, at: float) -> Iterator[Metric]:
    """The slots that autoscale wants, and whether its last change failed; nothing while none acts at `at`."""
    now = autoscale_now(observer.fleet.client, observer.fleet.settings, at)
    if now is None:
        return
    slots = GaugeMetricFamily("gristmill_autoscale_slots", "Slots that autoscale has decided on.", labels=["queue"])
    turns = GaugeMetricFamily(
        "gristmill_autoscale_turns",
        "Changes from more to fewer slots, or back, since the queue was last empty.",
        labels=["queue"],
    )
    for queue, past in now["queues"].items():
        slots.add_metric([queue], past["slots"])
        turns.add_metric([queue], past["turns"])
    yield from (slots, turns)
    text = "1 while the last change of autoscale could not be made."
    yield GaugeMetricFamily("gristmill_autoscale_failing", text, value=int(bool(now["failure"])))
