"""`python -m benchmarks.transport`: our transport and stock kombu's, by turns in one run: no-ops and enqueueing."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

from redis import Redis

from benchmarks.started import QUIET, private_server, running

#: name: pool, slots, prefetch multiplier, tasks
CASES = {
    "threads, multiplier 50": ("threads", 10, 50, 6000),
    "prefork, prefetch 1": ("prefork", 2, 1, 2000),
    "prefork, prefetch 50": ("prefork", 2, 50, 4000),
}
ENQUEUED = 3000
TRANSPORTS = ("ours", "stock")


def environ(url: str, transport: str, prefetch: int = 1) -> dict[str, str]:
    """The environment of a process of the benchmark's."""
    return {**os.environ, "BENCH_URL": url, "BENCH_TRANSPORT": transport, "BENCH_PREFETCH": str(prefetch)}


def enqueue(way: str) -> float:
    """No-ops put per second of this process's CPU: as a list, in a batch of kombu's, or one by one."""
    from benchmarks.plain import app, noop

    noop.apply_async((0,))
    before = resource.getrusage(resource.RUSAGE_SELF)
    if way == "list":
        from gristmill.broker.enqueue import enqueue_many

        enqueue_many(noop, ((number,) for number in range(ENQUEUED)))
    elif way == "batch":
        with app.producer_pool.acquire() as producer, producer.batch(500):
            for number in range(ENQUEUED):
                noop.apply_async((number,), producer=producer)
    else:
        for number in range(ENQUEUED):
            noop.apply_async((number,))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return ENQUEUED / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure_enqueue(url: str, transport: str, way: str) -> float:
    """As `enqueue`, in a process of its own."""
    Redis.from_url(url).flushall()
    code = f"from benchmarks.transport import enqueue; print(enqueue({way!r}))"
    command = [sys.executable, "-c", code]
    return float(subprocess.run(command, env=environ(url, transport), check=True, capture_output=True).stdout)


def standing(client: Redis) -> int:
    """Messages that are not done, on either transport."""
    ours = sum(client.xlen(f"gm1:q:bench:{level}") for level in range(10))
    return ours + client.llen("bench") + client.hlen("unacked")


def measure_noops(url: str, transport: str, case: str) -> float:
    """No-ops per second: the queue is filled, then a worker drains it; the first tenth is not counted."""
    pool, slots, prefetch, tasks = CASES[case]
    client = Redis.from_url(url)
    client.flushall()
    code = (
        "from benchmarks.plain import app, noop\n"
        "with app.producer_pool.acquire() as producer, producer.batch(500):\n"
        f"    for number in range({tasks}): noop.apply_async((number,), producer=producer)"
    )
    subprocess.run([sys.executable, "-c", code], env=environ(url, transport), check=True)
    command = f"celery -A benchmarks.plain worker -Q bench -l error -P {pool} -c {slots}"
    words = [*command.split(), "--without-mingle", "--without-gossip", "--without-heartbeat"]
    with running(*words, environ=environ(url, transport, prefetch), killed=True, **QUIET):
        while (left := standing(client)) > tasks * 0.9:
            time.sleep(0.005)
        started_at = time.perf_counter()
        while standing(client):
            time.sleep(0.005)
        return left / (time.perf_counter() - started_at)


def show(name: str, rates: dict[str, list[float]]) -> None:
    """One line: the medians, and their ratio."""
    ours, stock = (statistics.median(rates[transport]) for transport in TRANSPORTS)
    spread = ", ".join(
        f"{transport} {min(rates[transport]):.0f}-{max(rates[transport]):.0f}" for transport in TRANSPORTS
    )
    print(f"{name:34} ours {ours:7.0f}  stock {stock:7.0f}  {ours / stock:5.2f}×   ({spread})", flush=True)


def main() -> None:
    """Measure every case, the transports by turns, and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transport", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with private_server() as (_, url):
        for case in CASES:
            rates: dict[str, list[float]] = {transport: [] for transport in TRANSPORTS}
            for _ in range(arguments.rounds):
                for transport in TRANSPORTS:
                    rates[transport].append(measure_noops(url, transport, case))
            show(f"no-ops/s, {case}", rates)
        for way in ("batch", "list"):
            rates = {name: [] for name in TRANSPORTS}
            for _ in range(arguments.rounds):
                for transport in TRANSPORTS:
                    ours = transport == "ours"
                    rates[transport].append(measure_enqueue(url, transport, way if ours else "single"))
            show(f"enqueue/CPU s, {way} vs single", rates)


if __name__ == "__main__":
    main()
