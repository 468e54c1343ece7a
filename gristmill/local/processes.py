"""A child process that is started again when it dies, and that cannot outlive this process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Seconds before a child that died is started again: doubled at each death, and back after a minute of life.
FIRST_WAIT, LONGEST_WAIT, STEADY_SECONDS = 1.0, 30.0, 60.0


class Child:
    """One Python module run as a process (`python -m module …`); it ends when this process does."""

    def __init__(
        self, name: str, arguments: Sequence[str], environ: Mapping[str, str], log: Path | None = None
    ) -> None:
        self.name = name
        # -P: no file of the directory we are called in may hide a module of ours.
        self._argv = [sys.executable, "-P", "-m", *arguments, "--end-with-parent"]
        self._environ = {**os.environ, **environ}
        self._log = log
        self._wait = FIRST_WAIT
        self._again_at: float | None = None
        self.start()

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for its owner, who ends it in order."""
        output = self._log.open("ab") if self._log else None
        try:
            self._process = subprocess.Popen(
                self._argv,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=output or sys.stderr.fileno(),
                stderr=output or sys.stderr.fileno(),
                start_new_session=True,
            )
        finally:
            if output:
                output.close()
        self._started = time.monotonic()
        self._again_at = None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def keep_alive(self) -> int | None:
        """Start it again when it has been dead for long enough; answers its exit code when it was found dead."""
        if self.alive:
            return None
        now = time.monotonic()
        if self._again_at is None:
            self._wait = FIRST_WAIT if now - self._started > STEADY_SECONDS else min(LONGEST_WAIT, self._wait * 2)
            self._again_at = now + self._wait
            return self._process.returncode
        if now > self._again_at:
            self._close()
            self.start()
        return None

    def last_words(self) -> str:
        """The last line it printed, when that went into a log."""
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log else []
        return lines[-1] if lines else f"exit code {self._process.poll()}"

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.alive:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it and what it started, now."""
        if self.alive:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
