"""`python -m gristmill.worker.health [cpu|io]`: exits with 0 when this host's workers are healthy, else with 1."""

import argparse
import socket
import sys
from collections.abc import Iterable, Iterator

from redis import Redis

from gristmill.config.settings import Settings, settings
from gristmill.errors import GristmillError
from gristmill.server.connection import client, reaching

#: Not from `gristmill.tasks.kinds`, which imports Celery: that takes longer than the rest of the check.
KINDS = ("cpu", "io")
#: Seconds without a heartbeat after which a worker is unhealthy; a worker whose event loop hangs sends none.
SILENT_SECONDS = 10.0


def main() -> int:
    """Check this host's workers, of one kind or of all; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gristmill.worker.health", description=__doc__)
    parser.add_argument("kind", nargs="?", choices=KINDS, help="default: every worker of this host")
    kind = parser.parse_args().kind
    try:
        with reaching():
            problems = list(ailments(client(), settings(), socket.gethostname(), kind))
    except GristmillError as error:
        problems = [str(error)]
    for problem in problems:
        print(f"unhealthy: {problem}", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


def ailments(server: Redis, settings: Settings, host: str, wanted: Iterable[str] = ()) -> Iterator[str]:
    """What is wrong with the workers of `host`: a line for each whose beat or lease is not fresh, or is missing.

    Raises:
        RedisError: the server cannot be asked.
    """
    seconds, microseconds = server.time()
    now = seconds * 1000 + microseconds / 1000
    heartbeats = server.zmscore(settings.key("workers"), [f"{kind}@{host}" for kind in KINDS])
    heard = {
        kind: (now - heartbeat) / 1000
        for kind, heartbeat in zip(KINDS, heartbeats, strict=True)
        if heartbeat is not None
    }
    for kind in wanted or heard:
        if kind not in heard:
            yield f"no {kind} worker of {host} is known to the server"
        elif heard[kind] > SILENT_SECONDS:
            yield f"the {kind} worker has not beaten for {heard[kind]:.0f} s"
        leases = server.zscan_iter(settings.key(f"lease:{kind}"), match=f"{host}:*", count=1000)
        ages = [(now - renewed) / 1000 for _, renewed in leases]
        if not ages:
            yield f"the {kind} worker has no lease"
        elif min(ages) > settings.lease_seconds:
            yield f"the lease of the {kind} worker has not been renewed for {min(ages):.0f} s"
    if not wanted and not heard:
        yield f"no worker of {host} is known to the server"


if __name__ == "__main__":
    sys.exit(main())
