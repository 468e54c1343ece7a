"""Containers of our image under pytest-celery: two workers of each kind and a Redis, killed, paused, stopped."""

import time
from contextlib import contextmanager

import pytest
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestWorker,
    CeleryWorkerCluster,
    CeleryWorkerContainer,
    RedisContainer,
    RedisTestBackend,
    RedisTestBroker,
)
from pytest_docker_tools import container, fxtr, volume
from pytest_docker_tools.wrappers import container as docker_tools

from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.broker.address import from_redis
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.waiting import Policy
from tests.conftest import until
from tests.support.engine import docker, kill_main, main_pid

pytestmark = pytest.mark.slow

#: Seconds of a lease, and the longer time for which a worker is cut off.
LEASE, AWAY = 4, 7.0
ITEMS = {"fibonacci": ("23", 1200), "pause": ("0.2", 3000)}
KINDS = ("cpu", "io")

# pytest-docker-tools takes /.dockerenv for a sign that it runs in a container, and would dial another address.
docker_tools.tests_inside_container = lambda: False


class Server(RedisContainer):
    """A Redis with its data on a volume, as compose has it."""

    @classmethod
    def command(cls, *args, **kwargs):
        return super().command("--appendonly", "yes", "--appendfsync", "always", *args)

    @property
    def address(self):
        """The address for this host, which may change when it is started again."""
        self.reload()
        networks = self.attrs["NetworkSettings"]["Networks"].values()
        return f"redis://{next(iter(networks))['IPAddress']}:6379/0"


class Worker(CeleryWorkerContainer):
    """A worker of our image: its heartbeat shows that it is ready, and its log does not."""

    ready_prompt = None

    @classmethod
    def ports(cls):
        return None


@pytest.fixture
def default_redis_broker_cls():
    return Server


@pytest.fixture
def redis_restart_policy():
    return {"Name": "always"}


redis_data = volume()

default_redis_broker = container(
    image="redis:8",
    ports=fxtr("default_redis_broker_ports"),
    network="{default_pytest_celery_network.name}",
    wrapper_class=Server,
    volumes={"{redis_data.name}": {"bind": "/data"}},
    timeout=60,
    command=fxtr("default_redis_broker_command"),
    restart_policy={"Name": "always"},
)


@pytest.fixture
def celery_broker_cluster(default_redis_broker):
    cluster = CeleryBrokerCluster(RedisTestBroker(default_redis_broker))
    yield cluster
    cluster.teardown()


@pytest.fixture
def celery_backend_cluster(default_redis_broker):
    cluster = CeleryBackendCluster(RedisTestBackend(default_redis_broker))
    yield cluster
    cluster.teardown()


@pytest.fixture
def worker_environment(celery_broker_cluster):
    (broker,) = celery_broker_cluster
    return {"GRISTMILL_REDIS_URL": broker.config()["url"], "GRISTMILL_LEASE_SECONDS": str(LEASE)}


def worker(kind):
    """A worker of a kind, with the rights that compose gives it."""
    return container(
        image="{image}",
        environment=fxtr("worker_environment"),
        network="{default_pytest_celery_network.name}",
        wrapper_class=Worker,
        timeout=60,
        entrypoint=["tini", "--", "python", "-m", "gristmill.worker"],
        command=[kind],
        read_only=True,
        cap_drop=["ALL"],
        tmpfs={"/tmp": ""},
        restart_policy={"Name": "always"},
    )


cpu_one, cpu_two, io_one, io_two = worker("cpu"), worker("cpu"), worker("io"), worker("io")


@pytest.fixture
def celery_worker_cluster(cpu_one, cpu_two, io_one, io_two, celery_setup_app):
    nodes = [CeleryTestWorker(each, celery_setup_app) for each in (cpu_one, cpu_two, io_one, io_two)]
    cluster = CeleryWorkerCluster(*nodes)
    yield cluster
    cluster.teardown()


@pytest.fixture
def celery_worker_cluster_config(celery_broker_cluster, celery_backend_cluster):
    return {
        "celery_broker_cluster_config": celery_broker_cluster.config(),
        "celery_backend_cluster_config": celery_backend_cluster.config(),
    }


class Mill:
    """Batches on the containers of a test, and their outcomes."""

    def __init__(self, setup, place):
        self.setup, self.place = setup, place
        self.server = setup.broker.container
        self.cpu, self.other_cpu, self.io, self.other_io = (node.container for node in setup.worker_cluster)
        self.until_workers(4)

    @contextmanager
    def ledger(self):
        with connect(self.server.address, Policy(60)) as client:
            yield Ledger(client, load({}))

    def until_workers(self, number):
        with self.ledger() as ledger:
            until(
                lambda: len(WorkerRegistry(ledger.client, ledger.settings).workers()) == number, 90, f"{number} workers"
            )

    def submit(self, times=1):
        """Submit a batch of each kind, and wait until both are under way."""
        self.numbers = {task: number * times for task, (_, number) in ITEMS.items()}
        for task, (item, _) in ITEMS.items():
            number = self.numbers[task]
            lines = f"{item}\n" * number
            environ = {"GRISTMILL_REDIS_URL": self.server.address}
            self.place.run("submit", task, "--from", "-", "--name", task, stdin=lines, **environ).good()
        with self.ledger() as ledger:
            until(lambda: all(self.info(ledger, task).succeeded > 50 for task in ITEMS), 60, "a beginning")

    @staticmethod
    def info(ledger, task):
        return BatchInfo.from_fields(task, ledger.state(task))

    def still_open(self):
        """Whether both batches have items left, so that a fault now concerns them."""
        with self.ledger() as ledger:
            return all(self.info(ledger, task).left > 0 for task in ITEMS)

    def all_recorded_once(self):
        """Wait for the end; each item has succeeded, and has one result."""
        with self.ledger() as ledger:
            until(lambda: all(self.info(ledger, task).finished for task in ITEMS), 200, "the end of both batches")
            for task, number in self.numbers.items():
                end = self.info(ledger, task)
                assert (end.submitted, end.succeeded, end.left) == (number, number, 0)
                results = list(ResultReader(ledger.client, ledger.settings, task).in_order(0, number))
                assert [result.index for result in results] == list(range(number))
                assert len({result.worker for result in results}) == 2, "both workers of the kind had a part"


@pytest.fixture
def mill(image, celery_setup, place):
    return Mill(celery_setup, place)


def test_a_batch_of_each_kind_over_two_workers_of_each(mill):
    app = mill.setup.app
    app.conf.broker_url = from_redis(app.conf.broker_url)
    waiting = app.send_task("pause", (0.01,), queue="io")
    assert waiting.get(timeout=30) == 0.01, "a plain Celery call works beside batches"
    mill.submit()
    mill.all_recorded_once()


def test_main_processes_are_killed_from_the_host(mill):
    mill.submit()
    before = {each: main_pid(each.id) for each in (mill.cpu, mill.io)}
    for each in before:
        kill_main(each.id)
    assert mill.still_open()
    until(lambda: all(main_pid(each.id) not in (0, old) for each, old in before.items()), 60, "restarts")
    mill.all_recorded_once()


def pause(container_id):
    """Pause a container; on a busy machine, the engine gives up before every process is frozen."""
    until(lambda: docker("pause", container_id, check=False).returncode == 0, what="a pause")


def test_workers_are_paused_for_longer_than_their_lease(mill):
    mill.submit()
    for each in (mill.cpu, mill.io):
        pause(each.id)
    time.sleep(AWAY)
    for each in (mill.cpu, mill.io):
        docker("unpause", each.id)
    mill.all_recorded_once()


def test_workers_are_cut_off_for_longer_than_their_lease(mill):
    mill.submit()
    (network,) = mill.server.attrs["NetworkSettings"]["Networks"]
    for each in (mill.cpu, mill.io):
        docker("network", "disconnect", network, each.id)
    assert mill.still_open()
    time.sleep(AWAY)
    for each in (mill.cpu, mill.io):
        docker("network", "connect", network, each.id)
    mill.all_recorded_once()
    mill.until_workers(4)


def test_redis_is_restarted_with_its_volume(mill):
    mill.submit()
    assert mill.still_open()
    mill.server.restart()
    mill.all_recorded_once()


def test_redis_is_killed(mill):
    mill.submit()
    assert mill.still_open()
    before = main_pid(mill.server.id)
    kill_main(mill.server.id)
    until(lambda: main_pid(mill.server.id) not in (0, before), 60, "Redis again")
    mill.all_recorded_once()


def test_a_worker_is_taken_away_and_another_comes(mill):
    mill.submit(times=3)
    docker("stop", mill.cpu.id, mill.io.id)
    assert mill.still_open()
    mill.until_workers(2)
    docker("start", mill.cpu.id, mill.io.id)
    mill.all_recorded_once()
