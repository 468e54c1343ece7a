"""Batches on an io and a cpu worker whose connections go silent again and again: each item ends, and once."""

import os
import random
import signal
import subprocess
import sys

import pytest

from gristmill import open_batch, submit
from gristmill.producer.worker_checks import live_workers
from tests.conftest import until

ROUNDS, ITEMS = 3, 150
#: A wait for an answer ends after 5 to 15 s, and a lease lasts 20 s.
SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(ROUNDS * SECONDS)]


@pytest.fixture
def fleet(server, here, proxy, tmp_path):
    """An io and a cpu worker, which reach the server through the proxy."""
    through = server.url.replace(f":{server.port}", f":{proxy.port}")
    environ = {**os.environ, "GRISTMILL_REDIS_URL": through, "GRISTMILL_HOME": str(tmp_path)}
    workers = []
    for words in (["io", "--slots", "8"], ["cpu", "--slots", "2"]):
        with (tmp_path / f"{words[0]}.log").open("w") as log:
            command = [sys.executable, "-m", "gristmill.worker", *words]
            workers.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True))
    try:
        until(lambda: len(live_workers()) == len(workers), 60, "the workers")
        yield
    finally:
        for worker in workers:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def test_each_item_ends_whenever_the_connections_go_silent(here, fleet, proxy):
    luck = random.Random(14)
    for number in range(ROUNDS):
        io = submit("pause", [luck.choice([0.01, 0.05, 0.2]) for _ in range(ITEMS)], name=f"io{number}")
        cpu = submit("fibonacci", [luck.choice([5, 20, 24]) for _ in range(ITEMS)], name=f"cpu{number}")
        goal = luck.randrange(1, ITEMS // 2)
        until(lambda io=io, goal=goal: io.info().succeeded >= goal, 60, "some items")
        proxy.silence()
        for batch in (io, cpu):
            until(lambda batch=batch: batch.info().finished, SECONDS, batch.name)
            info = open_batch(batch.name).info()
            assert (info.submitted, info.succeeded, info.left) == (ITEMS, ITEMS, 0)
        # What stands on a queue behind its batch is an acknowledgement that got lost.
        queues = [here.settings.key(f"q:{queue}:{level}") for queue in ("io", "cpu") for level in range(10)]
        until(lambda: not any(here.client.xlen(queue) for queue in queues), SECONDS, "the acknowledgements")  # noqa: B023
