"""The worker containers of the Compose project in the current directory, as autoscale grows and shrinks them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gristmill.config.names import KINDS
from gristmill.config.settings import settings
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.local.reach import Reach, ScalingFailed, run
from gristmill.tasks.kind import Kind

#: What Compose says of a container's place in its service.
NUMBER_LABEL = "com.docker.compose.container-number"


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a service; Compose removes those with the highest numbers first."""

    service: str
    number: int
    id: str


class ComposeServices(Reach):
    """The services `cpu` and `io`, with a worker in each container.

    What goes away drains first: its worker takes no messages, and its container is removed once none runs there.
    """

    name = "Docker Compose"

    def __init__(self, registry: WorkerRegistry) -> None:
        self._registry = registry
        self._containers: list[Container] = []
        #: The slots of one container, by service.
        self._steps: dict[str, int] = {}

    def look(self) -> None:
        """Read which containers there are.

        Raises:
            ScalingFailed: there is no project here, or no engine.
        """
        text = run(["docker", "compose", "ps", "--format", "json", *KINDS])
        rows = [row for line in text.splitlines() if line.strip() for row in _rows(json.loads(line))]
        self._containers = [Container(row["Service"], _number(row), row["ID"]) for row in rows]

    def workers(self, live: Sequence[LiveWorker]) -> list[LiveWorker]:
        """Those in these containers."""
        return [worker for worker in live if any(_is_in(worker, container) for container in self._containers)]

    def step(self, queue: str, live: Sequence[LiveWorker], before: int) -> int:
        """The slots of one container: as many as those that run have, or had, else as many as the settings here say."""
        slots = max((worker.slots for worker in self.workers(live) if worker.queue == queue), default=0)
        # A cpu container has one core, unless the project says otherwise: then its worker soon tells.
        guess = settings().io_slots if queue == str(Kind.IO) else settings().cpu_slots or 1
        self._steps[queue] = slots or before or guess
        return self._steps[queue]

    def apply(self, slots: Mapping[str, int], live: Sequence[LiveWorker]) -> None:
        """Start containers, or drain the last ones and remove those that have drained."""
        self.look()
        counts = {queue: self._count(queue, number, live) for queue, number in slots.items()}
        if any(counts[queue] != len(self._of(queue)) for queue in counts):
            scale = [word for queue, count in counts.items() for word in ("--scale", f"{queue}={count}")]
            run(["docker", "compose", "up", "-d", "--no-recreate", "--no-deps", *scale, *counts])

    def _of(self, queue: str) -> list[Container]:
        return sorted((one for one in self._containers if one.service == queue), key=lambda one: one.number)

    def _count(self, queue: str, slots: int, live: Sequence[LiveWorker]) -> int:
        """How many containers of a queue there may be now, of which those that are to go have drained."""
        containers, most = self._of(queue), -(-slots // self._steps[queue])
        by_container = {one: [worker for worker in live if _is_in(worker, one)] for one in containers}
        for worker in [worker for one in containers[:most] for worker in by_container[one] if worker.draining]:
            self._registry.resize(worker.id, None)
        going = containers[most:]
        for worker in [worker for one in going for worker in by_container[one] if not worker.draining]:
            self._registry.resize(worker.id, 0)
        count = len(containers) if going else most
        for one in reversed(going):
            if any(worker.busy or not worker.draining for worker in by_container[one]):
                break
            count -= 1
        return count


def _rows(line: object) -> list[dict[str, str]]:
    """Compose prints an object a line, and older versions one list."""
    return line if isinstance(line, list) else [line]  # type: ignore[list-item]


def _number(row: Mapping[str, str]) -> int:
    labels = dict(label.partition("=")[::2] for label in row["Labels"].split(","))
    return int(labels[NUMBER_LABEL])


def _is_in(worker: LiveWorker, container: Container) -> bool:
    # A container's host name is the beginning of its id, unless the project says otherwise.
    return len(worker.host) == 12 and container.id.startswith(worker.host)


def compose_here(registry: WorkerRegistry) -> ComposeServices | None:
    """The services of the current directory's project; None where there is none, or no engine."""
    services = ComposeServices(registry)
    try:
        services.look()
    except ScalingFailed:
        return None
    return services
