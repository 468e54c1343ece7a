"""`python -m gristmill.worker.health [QUEUE]`: exits with 0 when this host's workers are healthy, else with 1."""

import argparse
import socket
import sys
from collections.abc import Iterator
from math import inf
from typing import cast

from redis import Redis

from gristmill.config.settings import Settings, settings
from gristmill.errors import GristmillError
from gristmill.fleet.announcement import read_fields
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.worker_id import node_name
from gristmill.server.connection import client, reaching
from gristmill.server.scripts import server_time

#: Seconds without a heartbeat after which a worker is unhealthy; a worker whose event loop hangs sends none.
SILENT_SECONDS = 10.0


def main() -> int:
    """Check this host's workers, of one queue or of all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gristmill.worker.health", description=__doc__)
    parser.add_argument("queue", nargs="?", help="default: every worker of this host")
    queue = parser.parse_args().queue
    try:
        with reaching():
            problems = list(ailments(client(), settings(), socket.gethostname(), queue))
    except GristmillError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"unhealthy: {problem}", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def ailments(server: Redis, settings: Settings, host: str, queue: str | None = None) -> Iterator[str]:
    """One line for each worker of `host`, of `queue` or of all queues, without a fresh heartbeat or lease.

    Workers that share a name (hosts of one name) are healthy when one of them is.

    Raises:
        RedisError: the server does not answer.
    """
    now = server_time(server, settings.prefix) * 1000
    silences = _silences(server, settings, host, now)
    for one in (queue,) if queue else silences:
        if one not in silences:
            yield f"the server has no {one} worker of {host} in its registry"
        elif silences[one] > SILENT_SECONDS:
            yield f"the {one} worker has sent no heartbeat for {silences[one]:.0f} s"
        leases = server.zscan_iter(settings.key(f"lease:{one}"), match=f"{host}:*", count=1000)
        ages = [(now - renewed_at) / 1000 for _, renewed_at in leases]
        if not ages:
            yield f"the {one} worker has no lease"
        elif min(ages) > settings.lease_seconds:
            yield f"the {one} worker has not renewed its lease for {min(ages):.0f} s"
    if not queue and not silences:
        yield f"the server has no worker of {host} in its registry"


def _silences(server: Redis, settings: Settings, host: str, now: float) -> dict[str, float]:
    """Seconds since the last heartbeat of the host's workers, by queue; `now` is in milliseconds."""
    silences: dict[str, float] = {}
    heartbeats = cast(list[tuple[str, float]], server.zrange(settings.key("workers"), 0, -1, withscores=True))
    here = [(worker, at) for worker, at in heartbeats if node_name(worker).partition("@")[2] == host]
    texts = server.hmget(settings.key("heartbeats"), [worker for worker, _ in here]) if here else []
    for (_, heartbeat_at), text in zip(here, texts, strict=True):
        queue = read_fields(LiveWorker, text).get("queue")
        if queue:
            silences[queue] = min(silences.get(queue, inf), (now - heartbeat_at) / 1000)
    return silences


if __name__ == "__main__":
    sys.exit(main())
