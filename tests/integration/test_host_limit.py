"""The limits of a remote host, on a real server."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from gristmill.config.settings import Settings, load
from gristmill.errors import ServerError
from gristmill.server.heartbeat import heartbeat_of
from gristmill.server.private import PrivateServer
from gristmill.server.waiting import Policy
from gristmill.tasks.fetch import host_limit
from gristmill.tasks.fetch.host_limit import HostLimit
from tests.conftest import until


def _settings(slots: int = 4, rate: float = 10_000, lease: float = 20) -> Settings:
    return load(
        {
            "GRISTMILL_PREFIX": f"{uuid4().hex}:",
            "GRISTMILL_FETCH_HOST_SLOTS": str(slots),
            "GRISTMILL_FETCH_HOST_RATE": str(rate),
            "GRISTMILL_LEASE_SECONDS": str(lease),
        }
    )


def _lease(client: Redis, key: str) -> float:
    """When the lease of the only slot ends."""
    (entry,) = client.zrange(key, 0, -1, withscores=True)
    return float(entry[1])


class _Crowd:
    """Counts who is inside at once, and when each came in."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.entered: list[float] = []

    def visit(self, limit: HostLimit, host: str, seconds: float = 0.0) -> None:
        with limit.slot(host):
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
                self.entered.append(time.monotonic())
            time.sleep(seconds)
            with self.lock:
                self.inside -= 1


def test_no_more_than_its_slots_over_the_fleet(client: Redis) -> None:
    settings, crowd = _settings(slots=4), _Crowd()
    fleet = [HostLimit(client, settings), HostLimit(client, settings)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: crowd.visit(fleet[n % 2], "example.com", 0.02), range(60)))
    assert len(crowd.entered) == 60
    assert crowd.most == 4
    assert client.zcard(settings.key("host:example.com")) == 0


def test_no_faster_than_its_rate_over_the_fleet(client: Redis) -> None:
    rate = 50
    settings, crowd = _settings(slots=100, rate=rate), _Crowd()
    fleet = [HostLimit(client, settings), HostLimit(client, settings)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: crowd.visit(fleet[n % 2], "example.com"), range(60)))
    entered = sorted(crowd.entered)
    # A thread may come in late after it was let in: so much, where a machine is busy.
    late = 0.1
    for first, moment in enumerate(entered):
        for count, later in enumerate(entered[first:], 1):
            assert count <= rate * (later - moment + late + 0.1) + 1
    assert entered[-1] - entered[0] > 59 / rate - late - 0.1


def test_hosts_do_not_wait_for_each_other(client: Redis) -> None:
    limit = HostLimit(client, _settings(slots=1, rate=0.1))
    with limit.slot("one.example"), limit.slot("two.example"):
        pass
    assert limit._lines == {}


def test_a_host_is_the_same_in_capitals(client: Redis) -> None:
    settings = _settings()
    with HostLimit(client, settings).slot("Example.COM"):
        assert client.zcard(settings.key("host:example.com")) == 1


def test_a_slot_comes_back_after_an_error(client: Redis) -> None:
    settings = _settings(slots=1)
    limit = HostLimit(client, settings)

    def fail() -> None:
        with limit.slot("example.com"):
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail()


def test_its_keys_expire_by_themselves(client: Redis) -> None:
    settings = _settings(rate=0.5)
    with HostLimit(client, settings).slot("example.com"):
        key = settings.key("host:example.com")
        assert 19_000 < client.pttl(key) <= 20_000
        assert 1_000 < client.pttl(f"{key}:due") <= 2_000


def test_a_lost_reply_takes_no_second_slot(client: Redis) -> None:
    settings = _settings(slots=1)
    limit = HostLimit(client, settings)
    assert [limit._ask("example.com", "same") for _ in range(3)] == [0, 0, 0]
    assert client.zcard(settings.key("host:example.com")) == 1


def test_a_held_slot_is_renewed(client: Redis) -> None:
    settings = _settings(slots=1, lease=2)
    key = settings.key("host:example.com")
    limit = HostLimit(client, settings)
    with limit.slot("example.com"):
        first = _lease(client, key)
        until(lambda: _lease(client, key) > first)
        assert client.pttl(key) > 0
    # Nothing is held: it has nothing to renew.
    until(lambda: limit._renewal not in heartbeat_of(client).calls)


HOLDER = """
import os
import sys
from redis import Redis
from gristmill.tasks.fetch.host_limit import HostLimit
from gristmill.config.settings import load
limit = HostLimit(Redis.from_url(os.environ["GRISTMILL_REDIS_URL"], decode_responses=True), load())
with limit.slot("example.com"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_dead_worker_s_slot_comes_back(server: PrivateServer, client: Redis) -> None:
    settings = _settings(slots=1, lease=2)
    environ = {
        **os.environ,
        "GRISTMILL_PREFIX": settings.prefix,
        "GRISTMILL_FETCH_HOST_SLOTS": "1",
        "GRISTMILL_LEASE_SECONDS": "2",
        "GRISTMILL_REDIS_URL": server.url,
    }
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(host_limit.__file__).parents[3],
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        # It renews: the slot outlives its lease.
        key = settings.key("host:example.com")
        first = _lease(client, key)
        until(lambda: _lease(client, key) > first)
        assert HostLimit(client, settings)._ask("example.com", "other") == -1
        holder.send_signal(signal.SIGKILL)
        with HostLimit(client, settings).slot("example.com"):
            assert holder.wait() == -signal.SIGKILL


def test_a_server_that_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_limit, "OUTCOMES", Policy(0.2))
    # The discard port: nothing listens.
    with Redis(port=9, retry=Retry(NoBackoff(), 0)) as nowhere:
        limit = HostLimit(nowhere, _settings())
        with pytest.raises(ServerError), limit.slot("example.com"):
            pass


def test_a_server_that_comes_back_is_waited_for(client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings()
    limit = HostLimit(client, settings)
    ask, faults = limit._ask, [RedisConnectionError("away"), RedisTimeoutError("slow")]

    def flaky(host: str, name: str) -> int:
        if faults:
            raise faults.pop()
        return ask(host, name)

    monkeypatch.setattr(limit, "_ask", flaky)
    with limit.slot("example.com"):
        assert client.zcard(settings.key("host:example.com")) == 1
