"""The registry of live workers: what each announces when it starts, and its heartbeat, once a second."""

import json
from dataclasses import dataclass, field, fields
from typing import Any, cast

from redis import Redis

from gristmill.batches.scripts import script
from gristmill.config.settings import Settings


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that sent a heartbeat in the last seconds.

    `busy` of its `slots` run a message. `rate` is items per second over the last seconds. `items` counts the outcomes
    that the worker recorded since it started. `tasks` maps each task that it knows to the task's fingerprint. The host
    has `cores`, of which `cpu` percent are busy, and `used` of `memory` MiB in use; `container` is true in a container.
    """

    name: str
    host: str
    pid: int
    queue: str
    pool: str
    slots: int
    busy: int
    items: int
    rate: float
    cores: int = 0
    cpu: float = 0.0
    used: int = 0
    memory: int = 0
    container: bool = False
    tasks: dict[str, str] = field(default_factory=dict)


class WorkerRegistry:
    """The registry of live workers on one server."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client = client
        self.settings = settings

    def announce(self, worker: str, tasks: dict[str, str]) -> None:
        """Store which tasks a worker knows: fingerprints by task name."""
        script(self.client, "announce")(args=[self.settings.prefix, worker, json.dumps(tasks)])

    def leave(self, worker: str) -> None:
        """Remove a worker that ends."""
        # No transaction: a full server refuses to queue any.
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zrem(self.settings.key("workers"), worker)
            for name in ("beats", "announced", "items"):
                pipe.hdel(self.settings.key(name), worker)
            pipe.delete(self.settings.key(f"meters:of:{worker}"))
            pipe.execute()

    def waiting(self, queue: str) -> int:
        """Messages on `queue` that no worker has taken."""
        return int(cast(int, script(self.client, "waiting")(args=[self.settings.prefix, queue])))

    def workers(self, silent_seconds: float = 10) -> list[LiveWorker]:
        """The workers with a heartbeat in the last `silent_seconds` seconds, by name."""
        seconds, microseconds = self.client.time()
        oldest = int((seconds + microseconds / 1e6 - silent_seconds) * 1000)
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(self.settings.key("workers"), oldest, "+inf")
            pipe.hgetall(self.settings.key("beats"))
            pipe.hgetall(self.settings.key("announced"))
            names, heartbeats, announced = cast(tuple[list[str], dict[str, str], dict[str, str]], pipe.execute())
        return [
            LiveWorker(name=name, tasks=json.loads(announced.get(name, "{}")), **_fields(heartbeats[name]))
            for name in sorted(names)
            if name in heartbeats
        ]


def _fields(heartbeat: str) -> dict[str, Any]:
    names = {field.name for field in fields(LiveWorker)}
    return {name: value for name, value in json.loads(heartbeat).items() if name in names}
