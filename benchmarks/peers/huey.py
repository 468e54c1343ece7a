"""huey, 2 processes: the peer that finishes most no-ops per second on two cores."""

import os
import signal
import subprocess
import time
from pathlib import Path

from redis import Redis

from benchmarks.peers.environment import python

QUEUE = "huey.redis.bench"


def finish_rate(url: str, tasks: int) -> float:
    """No-ops finished per second, from the first to the last, on the server at `url`, which is emptied."""
    client, here = Redis.from_url(url), Path(__file__).parent / "apps"
    client.flushall()
    environ = {**os.environ, "BENCH_URL": url, "BENCH_TASKS": str(tasks)}
    interpreter = python("huey")
    # Putting is not what is measured: it need not wait for the disk.
    fsync = client.config_get("appendfsync")["appendfsync"]
    client.config_set("appendfsync", "no")
    subprocess.run([str(interpreter), "-c", "import huey_app; huey_app.put()"], cwd=here, env=environ, check=True)
    client.config_set("appendfsync", fsync)
    consumer = [str(interpreter.with_name("huey_consumer")), "huey_app.huey", "-w", "2", "-k", "process", "-q"]
    worker = subprocess.Popen(consumer, cwd=here, env=environ, start_new_session=True)
    try:
        while client.llen(QUEUE) == tasks:
            time.sleep(0.001)
        left, begun = int(client.llen(QUEUE)), time.perf_counter()
        while client.llen(QUEUE):
            time.sleep(0.001)
        return left / (time.perf_counter() - begun)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
