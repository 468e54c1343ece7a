"""`python -m benchmarks.latency`: where the time goes between `.delay()` and the task's first line, at light load.

20 plain messages a second, by turns of Celery's own task and of ours (`QuickTask`), for two workers of ten threads. It
is also the app that these workers run.
"""

import argparse
import json
import os
import statistics
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

from celery import Task
from redis import Redis

from benchmarks.options import at_least
from benchmarks.polling import until
from benchmarks.quantile import quantile
from benchmarks.started import QUIET, private_server, running
from gristmill.broker import reader
from gristmill.broker.channel import Channel
from gristmill.broker.quick_task import QuickTask

RATE, WORKERS, THREADS = 20, 2, 10
#: From one moment to the next.
STEPS = ("the message is made", "the server writes it", "the worker reads it", "Celery begins the task")
#: The classes of the tasks.
KINDS = {"Celery's": Task, "ours": QuickTask}
#: In a worker: when the server's last answer was there, and when it was read.
woken_at = received_at = 0.0

if "BENCH_URL" in os.environ:
    from benchmarks.plain import app

    def light(sent_at: float) -> None:
        """Say when it began, and when its message came."""
        line = json.dumps([sent_at, woken_at, received_at, time.time()])
        with Path(os.environ["BENCH_SAYS"], f"{os.getpid()}").open("a") as file:
            file.write(f"{line}\n")

    lights = {kind: app.task(light, name=f"light.{kind}", base=base) for kind, base in KINDS.items()}


def _stamp() -> None:
    """Have this process, a worker, note when messages come."""
    receive = reader.QueueReader.receive

    def stamped(self: reader.QueueReader, connection: Any) -> list[reader.Entry]:
        global woken_at, received_at
        came = time.time()
        if entries := receive(self, connection):
            woken_at, received_at = came, time.time()
        return entries

    reader.QueueReader.receive = stamped  # type: ignore[method-assign]


if "BENCH_SAYS" in os.environ:
    _stamp()


def _submit(messages: int, line: Path) -> list[tuple[float, ...]]:
    """Seconds of each step of each message."""
    from benchmarks.latency import lights  # now that there is an app

    puts: list[float] = []
    put = Channel.put_texts

    def stamped(self: Channel, *arguments: Any, **options: Any) -> None:
        puts.append(time.time())
        put(self, *arguments, **options)

    Channel.put_texts = stamped  # type: ignore[method-assign]
    for number in range(messages):
        lights[list(KINDS)[number % len(KINDS)]].delay(time.time())
        time.sleep(1 / RATE)

    def rows_of_all() -> list[list[float]]:
        rows = [json.loads(line) for file in line.iterdir() for line in file.open()]
        return rows if len(rows) == messages else []

    rows = until(rows_of_all, 30, "the beginning of every message", pause=0.1)
    moments = [(start, putting, *rest) for putting, (start, *rest) in zip(puts, sorted(rows), strict=True)]
    return [tuple(after - before for before, after in pairwise(each)) for each in moments]


def main() -> None:
    """Submit and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--messages", type=at_least(10), default=400)
    arguments = parser.parse_args()
    with private_server() as (home, url), ExitStack() as workers:
        answers = Path(home, "said")
        answers.mkdir()
        os.environ |= {"BENCH_URL": url, "BENCH_TRANSPORT": "ours", "BENCH_PREFETCH": "50"}
        for number in range(WORKERS):
            command = f"celery -A benchmarks.latency worker -Q bench -P threads -c {THREADS} -n w{number}@bench"
            words = [*command.split(), "--without-mingle", "--without-gossip", "-l", "error"]
            environ = {**os.environ, "BENCH_SAYS": str(answers)}
            workers.enter_context(running(*words, environ=environ, **QUIET))
        with Redis.from_url(url, decode_responses=True) as client:
            until(lambda: client.zcard("gm1:lease:bench") >= WORKERS, 60, "the workers", pause=0.1)
        every = _submit(arguments.messages, answers)
    for place, kind in enumerate(KINDS):
        # The first calls connect, and make the envelope.
        rows = [(*each, sum(each)) for each in every[place + 2 * len(KINDS) :: len(KINDS)]]
        print(f"{kind} task")
        for name, seconds in zip((*STEPS, "all"), zip(*rows, strict=True), strict=True):
            ms = [1000 * each for each in seconds]
            print(f"  {name:<24} median {statistics.median(ms):5.2f} ms, 99 % {quantile(ms, 0.99):6.2f} ms")


if __name__ == "__main__":
    main()
