"""The metrics of the autoscale that acts: what it has decided for each queue."""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric


def autoscale_metrics(now: Mapping[str, Any] | None) -> Iterator[Metric]:
    """The slots that autoscale wants, and whether its last change failed; `now` is what it has decided, if one acts."""
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
