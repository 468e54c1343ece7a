"""A batch of Gristmill's own, by its command and its workers, while workers are killed."""

import subprocess
import sys
from typing import Any

from redis import Redis

from benchmarks.chaos.count import Count, account
from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.run import PATIENCE, SLOTS, Run
from benchmarks.chaos.wire import Ours
from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.config.settings import load

NAME = "chaos"
#: The queue that each pool serves.
QUEUES = {"prefork": "cpu", "threads": "io"}


def _environ(run: Run) -> dict[str, str]:
    return {
        **run.environ(run.server.url),
        "GRISTMILL_REDIS_URL": run.server.url,
        "GRISTMILL_TASK_MODULES": "benchmarks.chaos.items",
    }


def _ledger(run: Run) -> Ledger:
    client: Any = Redis.from_url(run.server.url, decode_responses=True)
    return Ledger(client, load({}))


def _info(run: Run) -> BatchInfo:
    return BatchInfo.from_fields(NAME, _ledger(run).state(NAME))


def play(run: Run, kills: int, tasks: int) -> None:
    """Workers that run the items of a batch are killed until there were enough kills or the batch has ended."""
    queue, environ = QUEUES[run.pool], _environ(run)
    run.wire.close()
    run.wire, run.topped_up = Ours(run.server.url, queue), False
    path = run.directory / "items"
    path.write_text("".join(f"{number}\n" for number in range(tasks)))
    arguments = ["submit", "--quiet", f"journaled_{queue}", "--from", str(path), "--name", NAME]
    subprocess.run(
        [sys.executable, "-m", "gristmill", *arguments, "--set", f"seconds={run.options.seconds}"],
        env=environ,
        check=True,
    )
    run.submitted = tasks
    celery = f"-m celery --quiet -A gristmill.tasks.application worker -Q {queue} -P {run.pool} -c {SLOTS[run.pool][0]}"
    run.fleet = Fleet(
        lambda name: [sys.executable, *celery.split(), "-n", f"{name}@chaos", "--without-mingle", "--without-gossip"],
        environ,
        run.directory,
    )
    run.fleet.start(run.options.workers)
    while run.goes_on(kills) and _info(run).left:
        if victims := run.victims():
            run.kill(run.luck.choice(victims))
        run.breathe()
    run.until(lambda: _info(run).finished, "the end of the batch", PATIENCE + tasks * run.options.seconds)


def tally(run: Run, count: Count, started_at: float) -> None:
    """Fill in the batch's own books; an item without a result is lost, one that is open is left."""
    info, ledger = _info(run), _ledger(run)
    results = {result.index for result in ResultReader(ledger.client, ledger.settings, NAME).in_order(0, run.submitted)}
    count.submitted, count.dead, count.left = run.submitted, info.dead, info.left
    count.done = info.succeeded + info.failed + info.cancelled
    count.lost = run.submitted - info.left - len(results)
    account(run, count, started_at)
    if info.submitted != run.submitted:
        count.broken.append(f"{info.submitted} submitted instead of {run.submitted}")
