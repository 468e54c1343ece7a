"""What a batch costs the server: memory, AOF and CPU per item. `python -m benchmarks.capacity [--items N]`."""

import argparse
import json
import os
import subprocess
import sys
import time

from redis import Redis

from benchmarks.server_load import usage
from benchmarks.started import private_server, running
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.config.settings import load

#: So short that the worker does little else than take and record.
TASK, QUEUE = "fibonacci", "cpu"


def main() -> int:
    """Store items, look, run them with one worker of one slot, and look again."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    items = parser.parse_args().items
    with private_server() as (home, url):
        environ = {**os.environ, "GRISTMILL_HOME": home, "GRISTMILL_REDIS_URL": url}
        with Redis.from_url(url, decode_responses=True) as client:
            print(json.dumps(measured(client, environ, items), indent=1))
    return 0


def measured(client: Redis, environ: dict[str, str], items: int) -> dict[str, float]:
    """The figures, each per item but where its name says otherwise."""
    empty = usage(client)
    lines = "".join(f"{i % 10}\n" for i in range(items))
    submit = [sys.executable, "-m", "gristmill", "submit", TASK, "--from", "-", "--name", "capacity"]
    subprocess.run(submit, input=lines, text=True, env=environ, check=True, capture_output=True)
    stored = usage(client)
    with running("gristmill.worker", QUEUE, "--slots", "1", environ=environ):
        ledger = Ledger(client, load({}))
        started_at = None
        while not (info := BatchInfo.from_fields("capacity", ledger.state("capacity"))).finished:
            started_at = started_at or (time.monotonic() if info.succeeded else None)
            time.sleep(0.1)
        seconds = time.monotonic() - (started_at or 0)
        done = usage(client)
        chunks = client.xlen("gm1:batch:capacity:events")
    return {
        "memory of an item that waits, bytes": round((stored["memory"] - empty["memory"]) / items, 1),
        "memory of an item with its outcome, bytes": round((done["memory"] - empty["memory"]) / items, 1),
        "AOF, submit, bytes": round((stored["aof"] - empty["aof"]) / items, 1),
        "AOF, run, bytes": round((done["aof"] - stored["aof"]) / items, 1),
        "AOF of a chunk and its message, bytes, at most": round((done["aof"] - stored["aof"]) / chunks),
        "server CPU, microseconds": round(1e6 * (done["cpu"] - stored["cpu"]) / items, 1),
        "server CPU of a chunk, microseconds": round(1e6 * (done["cpu"] - stored["cpu"]) / chunks),
        "items in a chunk": round(items / chunks, 1),
        "items per second of one worker": round(items / seconds),
    }


if __name__ == "__main__":
    sys.exit(main())
