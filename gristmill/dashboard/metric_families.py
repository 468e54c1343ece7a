"""Our metrics for Prometheus, from what the server counted and what it is now.

Labels name queues, tasks, states and machines: what a fleet has few of. None names a worker, a container or a batch,
because each new one would be a series that Prometheus keeps.
"""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gristmill.batches.histogram import FIRST, bound, middle
from gristmill.batches.info import ENDED, State
from gristmill.broker.dead_letters import DeadLetters
from gristmill.config.settings import settings
from gristmill.dashboard.autoscale_metrics import autoscale_metrics
from gristmill.dashboard.label_metrics import STATES, label_items
from gristmill.fleet.autoscale_seat import autoscale_now
from gristmill.fleet.machines import machines
from gristmill.fleet.meters import Series, TaskCount
from gristmill.fleet.overview import Observer, Overview
from gristmill.server.facts import server_facts
from gristmill.server.question import together

#: The first and the last exported bucket of histograms, 1 ms and 10,000 s; between them, there are ten to a decade.
FROM, TO = -30, 40


def collect(observer: Observer, overview: Overview) -> list[Metric]:
    """Our metrics at the moment of `overview`.

    Raises:
        RedisError: the server cannot be reached.
    """
    client, of_server = observer.client, observer.settings
    ended, autoscale = together(client, observer.meters.ended(), autoscale_now(of_server, overview.at))
    return [
        *_counters(observer.meters.totals()),
        *_queues(overview),
        _tuned(overview),
        *_machines(overview),
        *_batches(ended, overview),
        *_server(observer),
        label_items(overview.batches, settings().metrics_labels),
        *autoscale_metrics(autoscale),
    ]


def _counters(totals: Mapping[Series, TaskCount]) -> Iterator[Metric]:
    by_task = ["queue", "task"]
    items = CounterMetricFamily(
        "gristmill_items", "Items with an outcome, and plain Celery tasks that ended.", labels=[*by_task, "state"]
    )
    retries = CounterMetricFamily(
        "gristmill_retries", "Attempts that failed and were followed by another.", labels=by_task
    )
    duplicates = CounterMetricFamily("gristmill_duplicates", "Runs beyond the recorded one of an item.", labels=by_task)
    busy = CounterMetricFamily("gristmill_busy_seconds", "Seconds of work in slots.", labels=by_task)
    run = HistogramMetricFamily("gristmill_run_seconds", "Run time of items.", labels=by_task)
    wait = HistogramMetricFamily(
        "gristmill_wait_seconds", "Time from the storing of an item to its start.", labels=by_task
    )
    for series, count in sorted(totals.items()):
        items.add_metric([*series, "succeeded"], count.succeeded)
        items.add_metric([*series, "failed"], count.failed)
        retries.add_metric([*series], count.retries)
        duplicates.add_metric([*series], count.duplicates)
        busy.add_metric([*series], count.busy)
        run.add_metric([*series], *_histogram(count.runs))
        wait.add_metric([*series], *_histogram(count.waits))
    return iter((items, retries, duplicates, busy, run, wait))


def _histogram(counts: Mapping[int, int]) -> tuple[list[tuple[str, float]], float]:
    """Cumulative buckets by their bound, and the sum, which is an estimate from the buckets."""
    buckets, below = [], sum(counts.get(number, 0) for number in range(FIRST, FROM))
    for number in range(FROM, TO + 1):
        below += counts.get(number, 0)
        buckets.append((f"{bound(number):.4g}", float(below)))
    buckets.append(("+Inf", float(sum(counts.values()))))
    return buckets, sum(items * middle(number) for number, items in counts.items())


def _queues(overview: Overview) -> Iterator[Metric]:
    texts = {
        "left": ("gristmill_queue_items", "Items left (without an outcome) in batches that run."),
        "paused": ("gristmill_queue_paused_items", "Items left in paused batches."),
        "waiting": ("gristmill_queue_waiting_items", "Items left in batches that wait for others or for their time."),
        "oldest": ("gristmill_queue_oldest_seconds", "Age of the oldest item left."),
        "slots": ("gristmill_queue_slots", "Slots of the live workers."),
        "busy": ("gristmill_queue_busy_slots", "Slots that run a message now."),
        "workers": ("gristmill_queue_workers", "Live workers."),
    }
    for what, (name, text) in texts.items():
        yield _gauge(name, text, "queue", ((queue.name, getattr(queue, what)) for queue in overview.queues))


def _tuned(overview: Overview) -> Metric:
    slots: Counter[str] = Counter()
    for worker in overview.workers:
        if worker.tuning:
            slots[worker.queue] += worker.slots
    text = "Slots of the workers that set their number of slots themselves."
    return _gauge("gristmill_queue_tuned_slots", text, "queue", slots.items())


def _machines(overview: Overview) -> Iterator[Metric]:
    every = machines(overview.workers)
    cpu = ((one.name, one.cpu / 100) for one in every)
    yield _gauge("gristmill_machine_cpu_ratio", "Share of the machine's cores that is busy, 0 to 1.", "machine", cpu)
    used = ((one.name, one.used << 20) for one in every)
    yield _gauge("gristmill_machine_memory_used_bytes", "Memory in use on the machine.", "machine", used)
    memory = ((one.name, one.memory << 20) for one in every)
    yield _gauge("gristmill_machine_memory_bytes", "Memory of the machine.", "machine", memory)


def _batches(counts: Mapping[tuple[Series, str], int], overview: Overview) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "gristmill_batches_ended",
        "Batches that ended; one that was retried ends again.",
        labels=["queue", "task", "state"],
    )
    for (series, state), number in sorted(counts.items()):
        ended.add_metric([*series, state], number)
    yield ended
    states = Counter(info.state for info in overview.batches)
    going_on = ((str(state), states[state]) for state in State if state not in ENDED)
    yield _gauge("gristmill_batches", "Batches that have not ended.", "state", going_on)
    items = GaugeMetricFamily(
        "gristmill_batch_items",
        "Items of the batches that have not ended; left: without an outcome.",
        labels=["queue", "task", "state"],
    )
    left: Counter[tuple[str, str, str]] = Counter()
    for info in overview.batches:
        for word in STATES:
            left[info.queue, info.task, word] += getattr(info, word)
    for labels, number in sorted(left.items()):
        items.add_metric(labels, number)
    yield items


def _server(observer: Observer) -> Iterator[Metric]:
    client, settings = observer.client, observer.settings
    dead_letters = DeadLetters(client, settings)
    yield GaugeMetricFamily("gristmill_dead_letters", "Messages that workers gave up on.", len(dead_letters))
    text = "Bytes of the messages that workers gave up on."
    yield GaugeMetricFamily("gristmill_dead_letter_bytes", text, dead_letters.size)
    # A user without a right to INFO gets less.
    facts = server_facts(client)
    texts = {
        "used_memory": ("gristmill_server_memory_used_bytes", "Memory that the server uses."),
        "maxmemory": ("gristmill_server_memory_limit_bytes", "Memory that the server may use; 0: all."),
        "aof_current_size": ("gristmill_server_aof_bytes", "Size of the server's append-only file on its disk."),
    }
    for field, (name, text) in texts.items():
        if field in facts:
            yield GaugeMetricFamily(name, text, facts[field])
    build = GaugeMetricFamily(
        "gristmill_build_info", "Versions of the dashboard.", labels=["version", "python", "server"]
    )
    name = str(facts.get("server_name", "redis"))
    server = f"{name} {facts.get(f'{name}_version', facts.get('redis_version', ''))}"
    build.add_metric([version("gristmill"), platform.python_version(), server], 1)
    yield build


def _gauge(name: str, text: str, label: str, values: Iterable[tuple[str, Any]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for about, value in values:
        family.add_metric([about], value)
    return family
