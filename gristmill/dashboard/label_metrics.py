"""The items of batches by label, for Prometheus, in a bounded number of series."""

from collections import Counter
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric

from gristmill.batches.info import BatchInfo

#: Values of one label that have series of their own; the items of all others are counted together. No label begins so.
VALUES_MOST, OTHERS = 50, "_others"
STATES = ("succeeded", "failed", "cancelled", "dead", "left")


def label_items(batches: Iterable[BatchInfo], labels: Iterable[str]) -> Metric:
    """The items of `batches`, by each of `labels`, its value and their state.

    Per label there are at most VALUES_MOST + 2 values: those with the most items, OTHERS, and the empty one of batches
    without that label. So for each label, all series together have each item once.
    """
    family = GaugeMetricFamily(
        "gristmill_label_items",
        "Items of the batches that have not ended, by the value of a label of GRISTMILL_METRICS_LABELS and by state.",
        labels=["label", "value", "state"],
    )
    infos = list(batches)
    for label in labels:
        counts: dict[str, Counter[str]] = {}
        for info in infos:
            count = counts.setdefault(info.labels.get(label, ""), Counter())
            count.update({state: getattr(info, state) for state in STATES})
        for value, count in _bounded(counts).items():
            for state in STATES:
                family.add_metric([label, value, state], count[state])
    return family


def _bounded(counts: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """The counts of the values with the most items, and of all others together; of equal ones the first by name."""
    values = sorted((value for value in counts if value), key=lambda value: (-counts[value].total(), value))
    most = {value: counts[value] for value in ("", *values[:VALUES_MOST]) if value in counts}
    others = sum((counts[value] for value in values[VALUES_MOST:]), Counter[str]())
    return {**most, OTHERS: others} if values[VALUES_MOST:] else most
