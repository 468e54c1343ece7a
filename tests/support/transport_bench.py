"""A server's user for test_transport: a key prefix, a producer, and workers that can be killed."""

import json
import os
import signal
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
from kombu import Connection
from redis import Redis

from gristmill.broker.address import from_redis
from tests.support.forked import run_to_end, start


class Bench:
    """A key prefix of its own on a server, a producer in a process of its own, and workers."""

    app = "tests.support.transport_app"

    def __init__(self, url, directory):
        self.url, self.prefix, self.directory = url, f"t{uuid.uuid4().hex[:8]}:", directory
        self.client = Redis.from_url(url, decode_responses=True)
        self.environ = {
            **os.environ,
            "TEST_URL": url,
            # Where tasks say that they ran: not where a test cuts.
            "TEST_SAYS": url,
            "TEST_PREFIX": self.prefix,
            "GRISTMILL_LEASE_SECONDS": "2",
            "GRISTMILL_HOME": str(directory / "home"),
        }
        self.workers = []

    def send(self, code, url=None):
        """Run a line with the app's tasks at hand; answers what it printed."""
        command = [sys.executable, "-c", f"from {self.app} import *\n{code}"]
        code, out, err = run_to_end(command, None, Path.cwd(), {**self.environ, "TEST_URL": url or self.url}, 60)
        assert code == 0, err.decode()
        return out.decode()

    def suspects(self, *calls):
        """Make messages that have come back from dead workers twice."""
        for call in calls:
            self.send(call)
        with self.connect() as connection:
            channel = connection.default_channel
            tags = [channel.basic_get("q").delivery_tag for _ in calls]
            channel.lease.hand_back(tags, 2)

    def pids(self):
        """The processes of the workers: those of their sessions."""
        workers, pids = {worker.pid for worker in self.workers}, set()
        for pid in psutil.pids():
            # A process of somebody else may end meanwhile.
            with suppress(ProcessLookupError):
                if os.getsid(pid) in workers:
                    pids.add(pid)
        return pids

    def worker(self, pool="prefork", slots=2, multiplier=1, *options, url=None):
        number = len(self.workers)
        log = (self.directory / f"{self.prefix[:-1]}-{number}.log").open("w")
        words = f"-m celery -A {self.app} worker -Q q -P {pool} -c {slots} -l info -n w{number}@t"
        command = [sys.executable, *words.split(), "--without-mingle", "--without-gossip", *options]
        environ = {**self.environ, "TEST_URL": url or self.url, "TEST_MULTIPLIER": str(multiplier)}
        worker = start(command, environ, log)
        log.close()
        self.workers.append(worker)
        return worker

    def log(self, number=0):
        return (self.directory / f"{self.prefix[:-1]}-{number}.log").read_text()

    def done(self):
        return sorted(int(number) for number in self.client.lrange(self.prefix + "done", 0, -1))

    def begun(self):
        return sorted(int(number) for number in self.client.lrange(self.prefix + "begun", 0, -1))

    def standing(self):
        """Messages that are not acknowledged, taken or not."""
        return sum(self.client.xlen(f"{self.prefix}gm1:q:q:{level}") for level in range(10))

    def dead(self):
        return [fields for _, fields in self.client.xrange(f"{self.prefix}gm1:dead")]

    def connect(self):
        return Connection(from_redis(self.url), transport_options={"global_keyprefix": self.prefix})

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                # It may not have begun its session yet.
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGCONT)
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.kill()
            worker.wait()
        self.client.close()

    def new(self):
        """Messages that were never taken."""
        groups = self.client.xinfo_groups(f"{self.prefix}gm1:q:q:0")
        return self.standing() - groups[0]["pending"]


def put(channel, body=1, queue="q", **properties):
    """Put a message over a channel of kombu's."""
    message = channel.prepare_message(json.dumps(body), content_type="application/json", **properties)
    channel.basic_publish(message, "", queue)
