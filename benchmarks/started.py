"""What benchmarks start for themselves, and end with the measurement: a server, workers, other processes."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from benchmarks.chaos.fleet import Fleet
from benchmarks.polling import until
from gristmill.config.settings import Settings, load, use
from gristmill.demo.home import temporary_home
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local.fleet import START_SECONDS, LocalFleet
from gristmill.server.connection import reaching
from gristmill.server.home import Home
from gristmill.server.private import PrivateServer
from gristmill.tasks import catalog

#: Streams of a process that says nothing.
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@contextmanager
def private_server() -> Iterator[tuple[str, str]]:
    """A server of its own: its home and its URL."""
    with tempfile.TemporaryDirectory() as home, PrivateServer(Home(Path(home)), load({})) as server:
        yield home, server.url


@contextmanager
def server_of_settings(modules: str) -> Iterator[None]:
    """A server of its own, which the settings of this process name, as they do `modules` with tasks."""
    with (
        temporary_home(task_modules=modules, log_level="error") as home,
        PrivateServer(Home(home / "server"), load({})) as server,
    ):
        use({"redis_url": server.url, "task_modules": modules})
        catalog.load()
        with reaching():
            yield


@contextmanager
def own_fleet(modules: str, slots: Mapping[str, int], **changes: str) -> Iterator[LocalFleet]:
    """A server of its own, and workers of the tasks in `modules`, which are up; with the settings `changes`."""
    with (
        temporary_home(task_modules=modules, log_level="error", **changes) as home,
        reaching(),
        LocalFleet("benchmark", slots, logs=home / "logs") as fleet,
    ):
        fleet.wait_ready()
        yield fleet


@contextmanager
def running(
    *words: str, environ: Mapping[str, str], killed: bool = False, **streams: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m WORDS`; at the end it is asked to end, or killed with all that it has started in its session."""
    process = subprocess.Popen([sys.executable, "-m", *words], env=environ, start_new_session=killed, **streams)
    try:
        yield process
    finally:
        if killed:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.terminate()
        process.wait()


def await_workers(client: Redis, number: int = 1) -> None:
    """Wait until so many workers of ours beat.

    Raises:
        TimeoutError: they do not within START_SECONDS seconds.
    """
    registry = WorkerRegistry(client, load({}))
    until(lambda: len(registry.workers()) >= number, START_SECONDS, "the workers", pause=0.01)


class Started(NamedTuple):
    """A server, a client of it, and the workers of a fleet: they run in `directory` with `environ`."""

    server: PrivateServer
    client: Redis
    fleet: Fleet
    environ: dict[str, str]
    directory: Path


@contextmanager
def workers_of_noops(number: int, settings: Settings) -> Iterator[Started]:
    """A server with these settings, and so many workers of one slot each, which beat."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        server = stack.enter_context(PrivateServer(Home(directory / "server"), settings))
        client = stack.enter_context(Redis.from_url(server.url, decode_responses=True))
        environ = {
            **os.environ,
            "GRISTMILL_HOME": str(directory),
            "GRISTMILL_REDIS_URL": server.url,
            "GRISTMILL_TASK_MODULES": "benchmarks.noops",
            "GRISTMILL_LOG_LEVEL": "error",
        }
        fleet = stack.enter_context(Fleet(_worker_of_noops, environ, directory))
        fleet.start(number)
        await_workers(client, number)
        yield Started(server, client, fleet, environ, directory)


def _worker_of_noops(name: str) -> list[str]:
    celery = "-m celery --quiet -A gristmill.tasks.application worker -Q cpu -P prefork -c 1"
    return [sys.executable, *celery.split(), "-n", f"{name}@bench", "--without-mingle", "--without-gossip"]
