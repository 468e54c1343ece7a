"""The command that gives a queue more slots: of compose, `gristmill up` or Kubernetes, as its workers run."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from gristmill.config.names import DASHBOARD, KINDS, worker_word
from gristmill.fleet.machines import Machine, machines
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.room import Room

#: The name of a pod of a Deployment ends with a hash of its ReplicaSet and five characters of its own.
_POD = re.compile(r"(.+)-[a-z0-9]{6,10}-[a-z0-9]{5}$")
#: Machines on which somebody types a command each, at most.
MACHINES_MOST = 3
#: Where the docs say how a machine joins.
_DOCS = "docs/scaling.md, More hosts"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the advice: on the machine with this id, empty where nobody knows, and with a private server or not.

    `is_autoscaled` says that `gristmill autoscale` acts on the queue.
    """

    machine: str = ""
    is_private: bool = False
    is_autoscaled: bool = False


SOMEWHERE = Reader()


@dataclass(frozen=True, slots=True)
class More:
    """What to type for more slots: `text`, None where no command does it; `how` ends the sentence before it.

    It adds `slots`, and `stopped` of those that there are do not run until then.
    """

    text: str | None
    how: str
    slots: int = 0
    stopped: int = 0


class AdvisedCommand:
    """The commands that change the slots of one queue, and of no other one."""

    def __init__(
        self, queue: QueueNow, queues: Sequence[QueueNow], workers: Sequence[LiveWorker], reader: Reader
    ) -> None:
        self._queue, self._queues, self._workers, self._reader = queue, queues, workers, reader
        self._mine = [worker for worker in workers if worker.queue == queue.name]
        self._word = worker_word(queue.name, queue.kind)

    def first(self) -> str | None:
        """The command that starts the first worker of the queue; None in Kubernetes, which has none yet to name."""
        if any(worker.namespace for worker in self._workers):
            return None
        if any(self._is_service(worker) for worker in self._workers):
            return self._compose(self._here(), 1)
        if not self._workers:
            name = self._queue.name
            return "gristmill up" if name in KINDS else f"gristmill up {' '.join(KINDS)} {DASHBOARD} {self._word}"
        return self._up(self._here(), 0)

    @property
    def is_tuned(self) -> bool:
        """Whether the workers of the queue set their number of slots themselves."""
        return bool(self._mine) and all(worker.tuning for worker in self._mine)

    def undrain(self) -> str | None:
        """The command that has the queue's workers take items again, where all of them drain; else None."""
        if not self._mine or not all(worker.draining for worker in self._mine):
            return None
        return f"gristmill undrain {' '.join(sorted({worker.name for worker in self._mine}))}"

    def more(self, slots: int, room: Room) -> More:
        """The command that adds about so many slots where there is room."""
        if any(worker.namespace for worker in self._mine):
            return self._kubernetes(slots)
        places = room.spread(slots)
        added = sum(place.slots for place in places)
        stopped, by_text = 0, defaultdict(list)
        for place in places:
            if self._in_containers(place.machine):
                text = self._compose(place.machine, ceil(place.slots / place.unit))
            else:
                text = self._up(place.machine, place.slots)
                stopped += self._slots_on(place.machine)
            by_text[text].append(place.machine)
        verb = "Restart with" if stopped else "Type"
        fleet = len(machines(self._workers))
        if len(by_text) == fleet == 1:
            return More(next(iter(by_text)), f". {verb}:", added, stopped)
        if len(by_text) > MACHINES_MOST or any(MACHINES_MOST < len(on) < fleet for on in by_text.values()):
            listed = ", ".join(f"{place.slots} on {place.machine.name}" for place in places[:MACHINES_MOST])
            return More(None, f": {listed}, and so on.", added, stopped)
        lines = [line for text, on in by_text.items() for line in (f"# on {_names(on)}", text)]
        return More("\n".join(lines), f". {verb}:", added, stopped)

    def machine(self) -> More:
        """The command for another machine."""
        if self._reader.is_private:
            return More(None, f", but a private server takes none: {_DOCS}, says how to move to a server for all.")
        if any(worker.container for worker in self._mine):
            number = max(1, round(len(self._mine) / max(1, len({one.machine or one.host for one in self._mine}))))
            scale = dict.fromkeys(KINDS, 0) | {self._queue.name: number}
            text = f"docker compose -f docker-compose.worker.yml up -d --no-recreate {_scale(scale)}"
            return More(text, f". Set it up ({_DOCS}), and type there:")
        return More(f"gristmill up {self._word}", f". Set it up ({_DOCS}), and type there:")

    def _here(self) -> Machine:
        """The machine that the dashboard runs on, else the first of the fleet."""
        fleet = machines(self._workers)
        return next((one for one in fleet if one.id == self._reader.machine), fleet[0])

    def _slots_on(self, machine: Machine) -> int:
        return sum(worker.slots for worker in machine.workers if worker.queue == self._queue.name)

    def _in_containers(self, machine: Machine) -> bool:
        mine = [worker for worker in machine.workers if worker.queue == self._queue.name]
        return any(self._is_service(worker) for worker in mine or machine.workers)

    def _is_service(self, worker: LiveWorker) -> bool:
        """Whether Compose started a worker; those of a private server are of `up`, also in a container."""
        return worker.container and not self._reader.is_private

    def _compose(self, machine: Machine, more: int) -> str:
        """The command with every service's count: Compose resets a service without one to the count in its file."""
        scale = dict.fromkeys(KINDS, 0)
        for worker in machine.workers:
            if worker.container:
                scale[worker.queue] = scale.get(worker.queue, 0) + 1
        scale[self._queue.name] = scale.get(self._queue.name, 0) + more
        # The machine of the dashboard has the server.
        there = self._reader.machine and machine.id != self._reader.machine
        file = "-f docker-compose.worker.yml " if there else ""
        return f"docker compose {file}up -d --no-recreate {_scale(scale)}"

    def _up(self, machine: Machine, more: int) -> str:
        """The command that starts all workers of a machine anew, with the slots that they have."""
        # A worker that starts anew has as many slots as the settings give it.
        kinds = {queue.name: queue.kind for queue in self._queues}
        slots: dict[str, int] = {}
        for worker in machine.workers:
            word = worker_word(worker.queue, kinds.get(worker.queue, ""))
            # Without a number, a worker that sets its slots itself goes on doing so.
            slots[word] = 0 if worker.tuning else slots.get(word, 0) + worker.slots
        slots[self._word] = slots.get(self._word, 0) + more
        has_dashboard = not self._reader.machine or machine.id == self._reader.machine
        if has_dashboard and slots.keys() == {*KINDS} and all(slots.values()):
            parts = [f"--{word}-slots {number}" for word, number in sorted(slots.items())]
        else:
            dashboard = [DASHBOARD] if has_dashboard else []
            parts = [*dashboard, *(f"{word}={number}" if number else word for word, number in sorted(slots.items()))]
        return " ".join(["gristmill up", *parts])

    def _kubernetes(self, slots: int) -> More:
        """Replicas of the Deployment that the queue's pods belong to."""
        pods = [worker for worker in self._mine if worker.namespace]
        owners = {(match and match[1], pod.namespace) for pod in pods for match in [_POD.fullmatch(pod.host)]}
        unit = max(1, round(sum(pod.slots for pod in pods) / len(pods)))
        more = ceil(slots / unit)
        ((name, namespace), *others) = owners
        if others or not name:
            return More(None, f": {more} more pods.", more * unit)
        text = f"kubectl scale deployment {name} --namespace {namespace} --replicas={len(pods) + more}"
        return More(text, ". Type:", more * unit)


def _scale(services: dict[str, int]) -> str:
    return " ".join(f"--scale {name}={number}" for name, number in sorted(services.items()))


def _names(several: Sequence[Machine]) -> str:
    if len(several) > MACHINES_MOST:
        return f"each of the {len(several):,} machines"
    return ", ".join(one.name for one in several)
