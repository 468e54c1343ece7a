"""The registry of live workers: what each announces when it starts, and its heartbeat, once a second."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from redis import Redis

from gristmill.batches.scripts import BatchScripts
from gristmill.fleet.announcement import (
    Announcement,
    announcements_json,
    read_announcements,
    read_fields,
    read_fingerprints,
    read_setup_errors,
)
from gristmill.fleet.worker_id import node_name
from gristmill.server.actor import actor
from gristmill.server.replies import by_turns
from gristmill.server.scripts import Scripts

#: Seconds without a heartbeat for which a worker counts as live; those after which it gives way to a newer one of its
#: name: it was killed, and replaced.
LIVE_SECONDS, REPLACED_SECONDS = 10.0, 3.0


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that sent a heartbeat in the last seconds.

    `name` is its node name in Celery, which two hosts of one name share; `id` is its own.
    `busy` of its `slots` run a message. `rate` is items per second over the last seconds. `items` counts the outcomes
    that the worker recorded since it started. `tasks` maps each task that it knows to the task's fingerprint.
    `setup_failures` maps each task whose setup fails there to the error. The items of the worker may reserve
    `memory_limit` bytes together, and have reserved `reserved`. `shared_root` is `seen` or `missing` where the worker's
    settings declare a data root that all hosts share. Its start took `start_seconds` seconds. One that is `draining`
    takes no messages and has no slots; `busy` tells what still runs there. Where it gave itself its number of slots,
    `tuning` says why it is that number.

    The worker may use `cores`; its processes use `cores_used` of them, and have `resident` MiB of memory. `machine` is
    the id of the machine that it runs on, which its containers share, and `machine_name` what a setting calls it:
    `machine_cores`, of which `cpu` percent are busy, and `used` of `memory` MiB in use. In a `container`, which `host`
    names then, it uses `container_used` MiB and may use `container_memory`, 0 for all. In a pod of Kubernetes,
    `namespace` is the pod's.
    """

    name: str
    # A worker of another version may send less.
    host: str = ""
    pid: int = 0
    queue: str = ""
    pool: str = ""
    slots: int = 0
    busy: int = 0
    items: int = 0
    rate: float = 0.0
    cores: int = 0
    cores_used: float = 0.0
    resident: int = 0
    machine: str = ""
    machine_name: str = ""
    machine_cores: int = 0
    cpu: float = 0.0
    used: int = 0
    memory: int = 0
    memory_limit: int = 0
    reserved: int = 0
    shared_root: str = ""
    container: bool = False
    container_used: int = 0
    container_memory: int = 0
    namespace: str = ""
    start_seconds: float = 0.0
    draining: bool = False
    tuning: str = ""
    id: str = ""
    tasks: dict[str, str] = field(default_factory=dict)
    setup_failures: dict[str, str] = field(default_factory=dict)

    @property
    def is_reserved(self) -> bool:
        """Whether the memory that its items have reserved has no room for another such item."""
        return bool(self.reserved and self.busy) and self.reserved + self.reserved // self.busy > self.memory_limit


class WorkerRegistry(BatchScripts):
    """The registry of live workers on one server."""

    def announce(self, worker: str, tasks: Mapping[str, Announcement]) -> None:
        """Store which tasks a worker (its id) knows, by task name."""
        self._call("announce", worker=worker, tasks=announcements_json(tasks))

    def announcements(self, worker: str) -> dict[str, Announcement]:
        """The tasks that a worker (its id) knows, by name."""
        return read_announcements(cast(str | None, self.client.hget(self.settings.key("announced"), worker)))

    def leave(self, worker: str) -> None:
        """Remove a worker (its id) that ends."""
        self._call("leave", worker=worker)

    def drain(self, worker: str, *, stop: bool = False) -> None:
        """Have a worker (its id) take no messages; with `stop`, it ends when it runs none."""
        self._ask(worker, drain=actor(), stop="1" if stop else "")

    def undrain(self, worker: str) -> None:
        """Have a worker (its id) take messages again, on as many slots as it started with."""
        self._ask(worker, drain="", stop="", slots="")

    def resize(self, worker: str, slots: int | None) -> None:
        """Have a worker (its id) run `slots` messages at once; 0: it takes none, None: as many as at its start."""
        self._ask(worker, slots="" if slots is None else str(slots))

    def _ask(self, worker: str, **fields: str) -> None:
        self._call("wish", worker=worker, actor=actor(), fields=by_turns(fields))

    def note_setup(self, worker: str, task: str, error: str | None, began: float) -> bool:
        """Store why the setup of a task fails on a worker (its id); None: it does not. False if that is no news.

        The attempt began at `began`, in Unix time on the worker's host, and has just ended.
        """
        times = {"began": int(began * 1000), "ended": int(time.time() * 1000)}
        return bool(self._call("note_setup", worker=worker, task=task, error=error or "", **times))

    def waiting(self, queue: str) -> int:
        """Messages on `queue` that no worker has taken."""
        return int(Scripts(self.client, self.settings.prefix, "broker").call("size", queue=queue))

    def workers(self) -> list[LiveWorker]:
        """The live workers, by name."""
        now, rows = self._call("live", silent=int(LIVE_SECONDS * 1000))
        moments = {worker: at / 1000 for worker, at, *_ in rows}
        texts = {worker: parts for worker, _, *parts in rows}
        live = _without_replaced(moments, now / 1000 - REPLACED_SECONDS)
        return [_live_worker(worker, *texts[worker]) for worker in live]


def _live_worker(worker: str, heartbeat: str, announced: str, setups: str) -> LiveWorker:
    """The worker of that id, from what live.lua answers of it."""
    identity = {"name": node_name(worker), "id": worker}
    tasks = {"tasks": dict(read_fingerprints(announced)), "setup_failures": read_setup_errors(setups)}
    return LiveWorker(**{**read_fields(LiveWorker, heartbeat), **identity, **tasks})


def _without_replaced(moments: dict[str, float], since: float) -> list[str]:
    """Sort the workers of `moments` (of heartbeats), without those that a newer one of their name has replaced."""
    newest: dict[str, float] = {}
    for worker, moment in moments.items():
        newest[node_name(worker)] = max(moment, newest.get(node_name(worker), moment))
    return sorted(worker for worker, moment in moments.items() if moment >= min(since, newest[node_name(worker)]))


def namesakes(workers: Iterable[LiveWorker]) -> dict[str, list[LiveWorker]]:
    """The node names that several live workers share, with these workers."""
    by_name: dict[str, list[LiveWorker]] = {}
    for worker in workers:
        by_name.setdefault(worker.name, []).append(worker)
    return {name: several for name, several in by_name.items() if len(several) > 1}


def shared_name(name: str, workers: Iterable[LiveWorker]) -> str:
    """What to say of workers that share a node name: what goes wrong, and how to mend it."""
    pids = " and ".join(str(worker.pid) for worker in workers)
    return (
        f"{name} is the name of several workers (pids {pids}): results and remote control cannot tell them apart. "
        "Give each host a name of its own (hostnamectl, or hostname: of a container), or start Celery's workers with -n"
    )


def unwatched_workers(client: Redis, prefix: str) -> tuple[int, dict[str, str]]:
    """The number of workers that take part in the watch, and why others cannot see some of them die, by consumer name.

    Raises:
        RedisError: the server cannot be reached.
    """
    entries = cast(dict[str, str], client.hgetall(f"{prefix}gm1:consumers"))
    problems = {consumer: json.loads(text).get("problem", "") for consumer, text in entries.items()}
    return len(entries), {consumer: problem for consumer, problem in problems.items() if problem}
