"""The bench of the drop-in tests: a plain app with results, asked and told things by its own API."""

import json
import subprocess
import sys

from tests.conftest import until
from tests.support.transport_bench import Bench


class DropIn(Bench):
    """A key prefix, a producer and workers of the app that has nothing of ours but the import."""

    app = "tests.support.dropin_app"

    def __init__(self, url, directory, config=None, options=None, **environ):
        super().__init__(url, directory)
        self.environ |= {"TEST_CONFIG": json.dumps(config or {}), "TEST_OPTIONS": json.dumps(options or {}), **environ}

    def ask(self, expression, before=""):
        """What an expression of the app's is, by way of JSON; the lines `before` are run first."""
        return json.loads(self.send(f"{before}\nimport json; print(json.dumps({expression}))").splitlines()[-1])

    def inspect(self, question):
        """What the first worker answers to a method of `app.control.inspect()`, or to a command of the app's own."""
        call = question if "(" in question else f"_request('{question}')"
        return self.ask(f"next(iter(app.control.inspect(timeout=30, limit=1).{call}.values()))")

    def celery(self, *arguments):
        """Run a command of Celery's own command line."""
        command = [sys.executable, "-m", "celery", "-A", self.app, *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=True)

    def go(self, name):
        """Let go of the tasks that wait for `name`."""
        self.client.set(f"{self.prefix}go:{name}", 1)

    def ready(self, number=0):
        """Wait until a worker has said so."""
        until(lambda: " ready." in self.log(number), 60, "the worker's start")

    def level(self, number):
        return f"{self.prefix}gm1:q:q:{number}"

    def said(self, key):
        return self.client.lrange(self.prefix + key, 0, -1)

    def ended(self, seconds=60):
        """Wait until no message stands or waits any more."""
        waits = f"{self.prefix}gm1:later:q"
        until(lambda: self.standing() == 0 and not self.client.zcard(waits), seconds, "the queue's end")
