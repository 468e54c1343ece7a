"""Benches for apps side by side on a server: a user's own on stock kombu, and ours."""

import os
import signal
import sys
import uuid
from contextlib import suppress
from pathlib import Path

from tests.conftest import until
from tests.support.dropin_bench import DropIn
from tests.support.forked import run_to_end, start


class Shop(DropIn):
    """The user's app: stock workers on `shop`, and programs that send to them. It shares our key prefix."""

    app = "tests.support.stock_app"

    def __init__(self, url, directory, prefix, **environ):
        super().__init__(url, directory, **environ)
        self.prefix = prefix
        self.environ |= {"TEST_PREFIX": prefix, "GRISTMILL_REDIS_URL": url, "GRISTMILL_PREFIX": prefix}

    def worker(self, queue="shop", **environ):
        log = (self.directory / f"shop-{len(self.workers)}.log").open("w")
        command = f"-m celery -A {self.app} worker -Q {queue} -P threads -c 2 -l info -n shop{len(self.workers)}@t"
        worker = start([sys.executable, *command.split()], {**self.environ, **environ}, log)
        log.close()
        self.workers.append(worker)
        return worker

    def log(self, number=0):
        return (self.directory / f"shop-{number}.log").read_text()

    def sold(self):
        return sorted(int(number) for number in self.said("sold"))


class Fleet:
    """Workers of our own app below a key prefix."""

    def __init__(self, url, directory, prefix=None, **environ):
        self.prefix = f"f{uuid.uuid4().hex[:8]}:" if prefix is None else prefix
        self.environ = {
            **os.environ,
            "GRISTMILL_REDIS_URL": url,
            "GRISTMILL_PREFIX": self.prefix,
            "GRISTMILL_HOME": str(directory / "home"),
            **environ,
        }
        self.workers = []

    def worker(self, kind="cpu"):
        worker = start([sys.executable, "-P", "-m", "gristmill.worker", kind, "--slots", "1"], self.environ, sys.stderr)
        self.workers.append(worker)
        # It answers once it consumes.
        until(lambda: self.run("print(len(app.control.ping(timeout=1)))") == str(len(self.workers)), 60, "a worker")
        return worker

    def run(self, code):
        """Run a program that imports us; answers what it printed."""
        code = f"from gristmill.tasks import app\nfrom gristmill.tasks.fibonacci import fibonacci\n{code}"
        ended, out, err = run_to_end([sys.executable, "-c", code], None, Path.cwd(), self.environ, 90)
        assert ended == 0, err.decode()
        return out.decode().strip()

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                # It may not have begun its session yet.
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.kill()
            worker.wait()
