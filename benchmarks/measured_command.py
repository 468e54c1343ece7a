"""Commands of ours whose memory is looked at while they run."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

#: A command that says when it begins: its modules are loaded.
COMMAND = """
import sys, time
from gristmill.cli import main, results, submit
from gristmill.tasks import catalog
catalog.load()
print(time.time(), flush=True)
sys.exit(main())
"""
MB = 10**6


class MeasuredCommand:
    """A command, and what it prints."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        command = [sys.executable, "-c", COMMAND, *arguments]
        self._process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
        assert self._process.stdout
        #: What it prints, in bytes.
        self.output = self._process.stdout
        #: When it began, a Unix time.
        self.started_at = float(self.output.readline())
        self._stats = psutil.Process(self._process.pid)
        #: The largest resident set so far, in MB.
        self.memory = 0.0
        # It may have ended before anybody else looks.
        self.running()

    def running(self) -> bool:
        """Look at it; whether it runs.

        Raises:
            CalledProcessError: it has failed.
        """
        code = self._process.poll()
        if code is None:
            with suppress(psutil.NoSuchProcess):
                self.memory = max(self.memory, self._stats.memory_info().rss / MB)
        if code:
            raise subprocess.CalledProcessError(code, self._process.args)
        return code is None

    def kill(self) -> None:
        """Kill it with -9; it is gone when this returns."""
        self._process.kill()
        self._process.wait()
