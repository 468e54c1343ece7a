"""A Compose project of the shipped file for a benchmark, whose own process submits to it from the host."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.started import await_workers
from gristmill.config.settings import use
from gristmill.demo.home import temporary_home
from gristmill.server.connection import client, reaching
from gristmill.tasks import catalog
from tests.support.engine import IMAGE, Compose, docker
from tests.support.examples import PROJECT


@contextmanager
def own_project(modules: str, containers: Mapping[str, int]) -> Iterator[Compose]:
    """Redis and so many containers of one slot each, by service, which run the tasks in `modules` and are up.

    The settings of this process name its server. At the end, the project and its image are removed.
    """
    docker("build", "--quiet", "--tag", IMAGE, ".", env={**os.environ, "DOCKER_BUILDKIT": "1"})
    with temporary_home(task_modules=modules, log_level="error") as home, reaching():
        settings = {"GRISTMILL_CPU_SLOTS": "1", "GRISTMILL_IO_SLOTS": "1", "GRISTMILL_TASK_MODULES": modules}
        project = Compose(home / "project", **settings)
        try:
            no_bytecode = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / "benchmarks", project.path / "modules" / "benchmarks", ignore=no_bytecode)
            project.scale("redis", **containers)
            use({"redis_url": project.url(), "task_modules": modules, "home": str(home), "log_level": "error"})
            catalog.load()
            await_workers(client(), sum(containers.values()))
            yield project
        finally:
            project.down()
            docker("rmi", IMAGE, check=False)
