"""A fleet that is simulated, event by event: what its counters and heartbeats say, as the model of the advice sees it.

Slots take chunks, run their items and record them; machines share their cores among what runs there. Long items run one
by one; of short ones, `Slot.weight` slots take their chunks together, which are many items anyway.
"""

import heapq
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import ceil

from gristmill.batches.histogram import bucket
from gristmill.batches.info import BatchInfo
from gristmill.fleet.backlog import Backlog
from gristmill.fleet.meters import TaskCount
from gristmill.fleet.overview import Overview, measure
from gristmill.fleet.queue_history import SECONDS, QueueHistory, QueueSecond
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.running_items import RunningItem

CHUNK_SECONDS, OVERHEAD, DRAIN_SECONDS = 0.5, 0.01, 10.0
#: Slots of short items that take their chunks one by one: where there are more, several do so together. Chunks that all
#: of them take in a second, about.
SLOTS_AT_ONCE, EVENTS_A_SECOND = 8, 12


@dataclass
class Task:
    """How long its items take (mean and coefficient of variation), and the cores that one uses while it runs."""

    name: str
    queue: str
    mean: float
    cv: float
    cores: float
    sigma: float = field(init=False)

    def __post_init__(self) -> None:
        self.sigma = math.sqrt(math.log(1 + self.cv**2))


@dataclass
class Batch:
    """Items of a task: `left` have no outcome, `waiting` have not begun; at a `rate`, so many begin in a second."""

    name: str
    task: Task
    left: int
    waiting: int = 0
    rate: float | None = None
    running_or_done: int = 0
    due: float = 0.0
    created: float = 0.0
    feeding: bool = False
    ended: int = 0
    took: float = 0.0


@dataclass
class Machine:
    """A machine with cores and memory (MiB); others use `others` of its cores."""

    id: str
    cores: int
    memory: int = 64_000
    others: float = 0.0
    #: Cores that what runs there would use.
    demand: float = 0.0


@dataclass
class Worker:
    """A worker of a queue with so many slots, on a machine, since `ready`; in a container of `quota` cores, or none."""

    name: str
    queue: str
    machine: Machine
    slots: int
    ready: float
    start: float
    container: bool = False
    namespace: str = ""
    quota: float = 0.0
    mib: float = 60.0
    reserve: int = 0
    limit: int = 0
    busy: int = 0
    demand: float = 0.0
    is_leaving: bool = False
    #: Batch, when the chunk began and will end, its items, and how many slots it has.
    running: dict[int, tuple[Batch, float, float, int, int]] = field(default_factory=dict)


class SimulatedFleet:
    """The fleet at the moment `now`, in seconds from its beginning. What happens depends on the seed alone."""

    def __init__(self, seed: int, queues: dict[str, str], server_cost: float = 0.0) -> None:
        self.random, self.queues, self.now = random.Random(seed), queues, 0.0
        self.machines: list[Machine] = []
        self.workers: list[Worker] = []
        self.batches: list[Batch] = []
        self._events: list[tuple[float, int, object]] = []
        self._number = 0
        self._counts: dict[str, dict[int, dict[str, TaskCount]]] = defaultdict(lambda: defaultdict(dict))
        #: Changes of the samples, by queue, what, and second.
        self._changes: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
        self._free: dict[str, list[tuple[Worker, int]]] = defaultdict(list)
        #: Seconds of the server for each record; while it is busy, records wait.
        self.server_cost, self._server_until, self._server_used = server_cost, 0.0, 0.0
        self._turn = 0
        self._slots, self._left = Counter[str](), Counter[str]()

    # What there is.

    def add_worker(self, queue: str, machine: Machine, slots: int, start: float = 0.0, **fields: object) -> None:
        """Start a worker; it takes items `start` seconds from now."""
        kind = "pod" if fields.get("namespace") else queue
        name = f"{kind}-7d9f8c6b5-{len(self.workers):05d}" if fields.get("namespace") else f"{queue}{len(self.workers)}"
        worker = Worker(name, queue, machine, slots, self.now + start, **{"start": start, **fields})  # type: ignore[arg-type]
        self.workers.append(worker)
        self._at(self.now + start, worker)

    def stop_workers(self, workers: list[Worker]) -> None:
        """Have workers finish what ends in time, hand back the rest, and take no more."""
        for worker in workers:
            for number, (batch, _, end, items, weight) in list(worker.running.items()):
                if end > self.now + DRAIN_SECONDS:
                    self._leave(worker, batch, weight, number)
                    batch.waiting += items
            worker.is_leaving = True
            self._slots[worker.queue] -= worker.slots
            self._change(worker.queue, "slots", -worker.slots)

    def retire(self, workers: list[Worker]) -> None:
        """Have workers take no more, and go once what they run has ended."""
        for worker in workers:
            worker.is_leaving = True
            if worker.ready <= self.now:
                self._slots[worker.queue] -= worker.slots
                self._change(worker.queue, "slots", -worker.slots)

    def submit(self, batch: Batch) -> None:
        """Store a batch."""
        batch.waiting, batch.created = batch.left, self.now
        self.batches.append(batch)
        self._left[batch.task.queue] += batch.left
        self._change(batch.task.queue, "left", batch.left)
        self._wake(batch.task.queue)

    def feed(self, batch: Batch, items: int) -> None:
        """Add items to a batch."""
        batch.left += items
        batch.waiting += items
        self._left[batch.task.queue] += items
        self._change(batch.task.queue, "left", items)
        self._wake(batch.task.queue)

    def left(self, queue: str) -> int:
        """The items left on a queue."""
        return self._left[queue]

    # What happens.

    def run(self, until: float, empty: str = "") -> None:
        """Go on until a moment, or until the queue `empty` is."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            if isinstance(what, Worker):
                if not what.is_leaving:
                    self._join(what)
            elif isinstance(what, str):
                self._wake(what)
            elif callable(what):
                what()
            else:
                self._end(*what)  # type: ignore[misc]
            if empty and not self.left(empty):
                return
        self.now = until

    def at(self, moment: float, what: object) -> None:
        """Call something at a moment."""
        self._at(moment, what)

    def _at(self, moment: float, what: object) -> None:
        self._number += 1
        heapq.heappush(self._events, (moment, self._number, what))

    def _change(self, queue: str, what: str, number: float, late: float = 0.0) -> None:
        self._changes[queue, what][int(self.now + late) + 1] += number  # type: ignore[assignment]

    def _join(self, worker: Worker) -> None:
        self._change(worker.queue, "slots", worker.slots)
        self._slots[worker.queue] += worker.slots
        short = all(b.task.mean < CHUNK_SECONDS for b in self.batches if b.task.queue == worker.queue)
        weight = 1
        if short:
            weight = max(1, min(worker.slots, round(self._slots[worker.queue] / SLOTS_AT_ONCE)))
        rest = worker.slots
        while rest:
            self._take(worker, min(weight, rest))
            rest -= min(weight, rest)

    def _wake(self, queue: str) -> None:
        free, self._free[queue] = self._free[queue], []
        for worker, weight in free:
            self._take(worker, weight)

    def _take(self, worker: Worker, weight: int) -> None:
        """Have slots take their next chunk, or wait."""
        if worker.is_leaving:
            return
        batch = self._next_batch(worker.queue)
        full = worker.reserve and (worker.busy + 1) * worker.reserve > worker.limit
        if batch is None or full:
            self._free[worker.queue].append((worker, weight))
            return
        items = self._chunk(batch, worker.queue, weight)
        batch.waiting -= items
        batch.running_or_done += items
        seconds = self._seconds(batch.task, worker, items, weight)
        worker.busy += weight
        cores = batch.task.cores * weight
        worker.demand += cores
        worker.machine.demand += cores
        self._change(worker.queue, "busy", weight, 0.5)
        end = self.now + seconds / weight + OVERHEAD
        if self.server_cost:
            self._server_until = max(self._server_until, self.now) + self.server_cost * weight
            self._server_used += self.server_cost * weight
            end = max(end, self._server_until)
        self._number += 1
        worker.running[self._number] = batch, self.now, end, items, weight
        self._at(end, (worker, batch, items, weight, seconds, self._number))

    def _end(self, worker: Worker, batch: Batch, items: int, weight: int, seconds: float, number: int) -> None:
        if number not in worker.running:
            return
        self._leave(worker, batch, weight, number)
        batch.left -= items
        batch.ended += items
        batch.took += seconds
        self._left[worker.queue] -= items
        self._change(worker.queue, "left", -items)
        tasks = self._counts[worker.queue][int(self.now)]
        count = tasks.setdefault(batch.task.name, TaskCount())
        count.succeeded += items
        count.busy += seconds
        place = bucket(seconds / items)
        if items < 4 or not batch.task.cv:
            count.runs[place] += items
        else:
            count.runs[place - 2] += items // 4
            count.runs[place] += items // 2
            count.runs[place + 2] += items // 4
        self._take(worker, weight)

    def _leave(self, worker: Worker, batch: Batch, weight: int, number: int) -> None:
        """Slots have nothing to run any more."""
        del worker.running[number]
        worker.busy -= weight
        worker.demand -= batch.task.cores * weight
        worker.machine.demand -= batch.task.cores * weight
        self._change(worker.queue, "busy", -weight, 0.5)

    def _next_batch(self, queue: str) -> Batch | None:
        ready = [one for one in self.batches if one.waiting and one.task.queue == queue]
        for turn in range(len(ready)):
            batch = ready[(self._turn + turn) % len(ready)]
            if batch.rate is None or batch.running_or_done < batch.rate * (self.now - batch.created + 0.001):
                self._turn += turn + 1
                return batch
            due = batch.created + batch.running_or_done / batch.rate
            if batch.due != due:
                batch.due = due
                self._at(due, queue)
        return None

    def _chunk(self, batch: Batch, queue: str, weight: int) -> int:
        slots = max(1, self._slots[queue])
        # Of many slots, chunks are longer than they would be: the counters of a second say the same.
        full = max(1.0, min(max(CHUNK_SECONDS, slots / weight / EVENTS_A_SECOND), 4.0) / batch.task.mean)
        size = ceil(min(full, max(batch.waiting / (2 * slots), full / 40)))
        if batch.rate:
            size = min(size, max(1, ceil(batch.rate / 10)))
        return min(batch.waiting, size * weight)

    def _seconds(self, task: Task, worker: Worker, items: int, weight: int) -> float:
        """Seconds of all the items of a chunk: they take longer where slots have to share cores."""
        machine = worker.machine
        demand = machine.demand + machine.others + task.cores * weight
        slow = max(1.0, demand / machine.cores) if self.queues[task.queue] == "cpu" else 1.0
        if worker.quota:
            slow = max(slow, (worker.demand + task.cores * weight) / worker.quota)
        if items == 1 and task.cv:
            return task.mean * slow * self.random.lognormvariate(-task.sigma * task.sigma / 2, task.sigma)
        noise = self.random.gauss(1, task.cv / math.sqrt(items))
        return items * task.mean * slow * max(0.2, noise)

    # What is seen of it.

    def look(self) -> Overview:
        """What the dashboard would see now."""
        now = int(self.now)
        infos = [self._info(batch) for batch in self.batches if batch.left or batch.feeding]
        workers = [self._live(one) for one in self.workers if one.ready + 1 <= self.now and not one.is_leaving]
        running = [
            RunningItem(b.name, 0, None, 0.0, self.now - since, 1, None, one.name, 1)
            for one in self.workers
            for b, since, *_ in one.running.values()
            if self.now - since >= 1 and b.task.mean >= CHUNK_SECONDS
        ]
        means = {one.name: one.took / one.ended for one in self.batches if one.ended}
        queues = []
        for queue in self.queues:
            seconds = self._history(queue, now)
            history = QueueHistory(seconds[:-1])
            backlog = Backlog.of(queue, infos, history, means, running)
            queues.append(measure(queue, history, seconds[-1].gauges, workers, backlog, infos))
        return Overview(self.now, queues, workers, infos)

    def server_cpu(self) -> float:
        """Percent of the server's core in use."""
        return min(100.0, 100 * self._server_used / self.now) if self.now else 0.0

    def _history(self, queue: str, now: int) -> list[QueueSecond]:
        first = max(0, now - SECONDS)
        gauges = {what: self._samples(queue, what, first, now) for what in ("left", "slots", "busy")}
        since = min((b.created for b in self.batches if b.left and b.task.queue == queue), default=None)
        gauges["oldest"] = [0.0 if since is None else max(0.0, first + i - since) for i in range(now - first + 1)]
        seconds = []
        for i in range(now - first + 1):
            tasks = self._counts[queue].get(first + i, {})
            seconds.append(
                QueueSecond(
                    tasks,
                    {what: line[i] for what, line in gauges.items()},
                    sum(count.done for count in tasks.values()),
                    0,
                    sum(count.busy for count in tasks.values()),
                )
            )
        return seconds

    def _samples(self, queue: str, what: str, first: int, last: int) -> list[float]:
        changes = self._changes[queue, what]
        total = sum(number for second, number in changes.items() if second <= first)
        line = [float(total)]
        for second in range(first + 1, last + 1):
            total += changes.get(second, 0)
            line.append(float(total))
        return line

    def _info(self, batch: Batch) -> BatchInfo:
        fields = {
            "task": batch.task.name,
            "queue": batch.task.queue,
            "kind": self.queues[batch.task.queue],
            "stored": str(batch.left + batch.ended),
            "succeeded": str(batch.ended),
            "submitted_by": "simulation",
            "created": str(int(1000 * batch.created)),
        }
        if not batch.feeding:
            fields["input_ended"] = "1"
        if batch.rate and batch.waiting:
            fields |= {"rate": f"{max(1, round(batch.rate * 3600))}/h", "held_by": "rate"}
        return BatchInfo.from_fields(batch.name, fields)

    def _live(self, worker: Worker) -> LiveWorker:
        machine = worker.machine
        used = min(machine.cores, machine.demand + machine.others)
        share = min(1.0, machine.cores / max(machine.demand + machine.others, 0.001))
        return LiveWorker(
            name=f"{worker.queue}@{worker.name}",
            id=worker.name,
            host=worker.name if worker.container else machine.id,
            queue=worker.queue,
            pool="threads" if self.queues[worker.queue] == "io" else "prefork",
            slots=worker.slots,
            busy=worker.busy,
            cores=ceil(worker.quota) or machine.cores,
            cores_used=worker.demand * (share if self.queues[worker.queue] == "cpu" else 1.0),
            resident=round(worker.mib),
            machine=machine.id,
            machine_cores=machine.cores,
            cpu=100 * used / machine.cores * self.random.uniform(0.97, 1.03),
            used=2000,
            memory=machine.memory,
            memory_limit=worker.limit,
            reserved=worker.busy * worker.reserve,
            container=worker.container,
            namespace=worker.namespace,
            start_seconds=worker.start * self.random.uniform(0.9, 1.1),
        )
