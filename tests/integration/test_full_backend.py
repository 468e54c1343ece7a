"""A result backend that answers and takes no result: its memory is full, it cannot write, or it is a replica now."""

import pytest
from redis import Redis

from tests.conftest import until
from tests.integration.test_pools import QUICK
from tests.support.dropin_bench import DropIn
from tests.support.servers import redis_server, running

#: What makes the backend refuse, by its error, and what ends that.
REFUSALS = {
    "OOM": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "NOREPLICAS": (("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")),
    "READONLY": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
}


#: Writes of Celery's at each end of a task whose result is refused: one and a retry. After so many, one came again.
TRIES = 4 * 2 + 1


@pytest.fixture
def backend(tmp_path):
    with running(redis_server(), tmp_path / "backend") as backend, Redis.from_url(backend.url) as client:
        yield backend.url, client


def unwritable_disk(client, directory):
    """Have the backend fail to save, after which it refuses writes (MISCONF)."""
    client.config_set("save", "900 1")
    # A snapshot cannot take the place of a directory.
    (directory / "dump.rdb").mkdir()
    client.execute_command("BGSAVE")
    until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 30, "a save that fails")


def refusals(client, error):
    """How many writes the backend has refused with an error."""
    return client.info("errorstats").get(f"errorstat_{error}", {"count": 0})["count"]


def tasks_wait_and_end(server, backend, tmp_path, error, end):
    """Four tasks stay on the queue while the backend refuses with `error`, until `end()`; then each has its result."""
    url, client = backend
    bench = DropIn(server.url, tmp_path, **QUICK)
    try:
        bench.environ["TEST_BACKEND"] = url
        bench.worker("threads", 2)
        bench.send("for n in range(4): mark.apply_async((n,), task_id=f'{n}')")
        # Each of the four is refused, and at least one of them again.
        until(lambda: refusals(client, error) >= TRIES, 60, "tries")
        assert (bench.standing(), bench.dead()) == (4, [])
        end()
        bench.ended()
        assert bench.ask("[app.AsyncResult(f'{n}').get(timeout=50) for n in range(4)]") == [0, 1, 2, 3]
        assert bench.dead() == []
    finally:
        bench.close()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_task_waits_while_the_backend_takes_no_writes(server, backend, tmp_path, refusal):
    _, client = backend
    begin, end = REFUSALS[refusal]
    client.execute_command(*begin)
    tasks_wait_and_end(server, backend, tmp_path, refusal, lambda: client.execute_command(*end))


def test_a_task_waits_while_the_backend_cannot_save(server, backend, tmp_path):
    _, client = backend
    directory = tmp_path / "backend"

    def mend():
        (directory / "dump.rdb").rmdir()
        client.execute_command("BGSAVE")

    unwritable_disk(client, directory)
    tasks_wait_and_end(server, backend, tmp_path, "MISCONF", mend)
