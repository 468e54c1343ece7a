"""How long one call of each control keeps the server, by the size of the batch: `python -m benchmarks.control`."""

import argparse
from collections.abc import Callable
from typing import Any, cast

from redis import Redis

from benchmarks.started import private_server
from gristmill.batches.control import Control
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load

FIELDS = {
    "task": "t",
    "queue": "cpu",
    "parameter": "n",
    "fixed": "{}",
    "fingerprint": "f",
    "submitted_by": "me",
    "ttl": 1_000_000,
}


def milliseconds(client: Redis, call: Callable[[], Any]) -> float:
    """How long the longest script ran that `call` calls, by the server's slow log."""
    client.slowlog_reset()
    call()
    entries = cast(list[dict[str, Any]], client.slowlog_get(20))
    return max(entry["duration"] for entry in entries if entry["command"].startswith(b"EVAL")) / 1000


def measure(client: Redis, items: int) -> None:
    """Print a line for a batch of so many items, each of whose hashes of outcomes is there."""
    ledger = Ledger(client, load({"GRISTMILL_PREFIX": f"{items}:"}))
    control = Control(client, ledger.settings)
    ledger.create("b", "token", FIELDS)
    client.hset(ledger.key("b", "state"), mapping={"stored": items, "bytes": items, "input_ended": 1})
    with client.pipeline(transaction=False) as pipe:
        for first in range(0, items, 500):
            pipe.hset(ledger.key("b", f"out:{first // 500}"), str(first), "")
        pipe.execute()
    calls: dict[str, Callable[[], Any]] = {
        "cancel": lambda: control.cancel("b", "by me"),
        "retry": lambda: control.retry("b", cancelled=True),
        "delete": lambda: ledger.delete("b"),
    }
    times = [f"{name} {milliseconds(client, call):.1f} ms" for name, call in calls.items()]
    print(f"{items:,} items: {', '.join(times)}")


def main() -> None:
    """Measure on a private server."""
    argparse.ArgumentParser(prog="python -m benchmarks.control", description=__doc__).parse_args()
    with private_server() as (_, url), Redis.from_url(url, decode_responses=True) as client:
        client.config_set("slowlog-log-slower-than", 0)
        for items in (10_000, 1_000_000, 10_000_000):
            measure(client, items)


if __name__ == "__main__":
    main()
