"""A child process that this process starts again when it dies, and that cannot outlive this process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from gristmill.local.descendants import end_tree
from gristmill.local.log_file import LogFile

#: Seconds before a dead child starts again: doubled at each death, and reset after a minute of life.
FIRST_WAIT, LONGEST_WAIT, STEADY_SECONDS = 1.0, 30.0, 60.0

#: The exit code of a worker that ended because somebody asked that of it: nobody starts it again.
STOPPED = 79


class Child:
    """A Python module that runs as a process (`python -m module …`) and ends when this process does."""

    def __init__(self, name: str, arguments: Sequence[str], environ: Mapping[str, str], log: LogFile) -> None:
        self.name = name
        # -P: no file in the current directory may hide a module of Gristmill.
        self._argv = [sys.executable, "-P", "-m", *arguments, "--end-with-parent"]
        self._environ = {**os.environ, **environ}
        self._log = log
        self._wait = FIRST_WAIT
        self._again_at: float | None = None
        #: The moment until which a restart waits for the process to end in order.
        self._restart_by: float | None = None
        #: Whether it has ended because somebody asked that of it.
        self.is_stopped = False
        self.start()

    def start(self) -> None:
        """Start the process, in a session of its own: Ctrl-C is for its owner, who ends it in order."""
        output = self._log.open()
        try:
            self._process = subprocess.Popen(
                self._argv,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        finally:
            os.close(output)
        self._started = time.monotonic()
        self._again_at = self._restart_by = None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs. Once it has ended, the programs that it or its pool processes started end too."""
        if self._process.returncode is None and os.waitid(
            os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            # Before anybody waits for the process: until then its number is nobody else's.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.poll() is None

    def keep_alive(self) -> int | None:
        """Start the process again once it has been dead for long enough; return its exit code when it has just died."""
        now = time.monotonic()
        if self.alive:
            if self._restart_by is not None and now > self._restart_by:
                self.kill()
            return None
        if self._restart_by is not None:
            self._close()
            self.start()
            return None
        if self._process.returncode == STOPPED:
            is_news, self.is_stopped = not self.is_stopped, True
            return STOPPED if is_news else None
        if self._again_at is None:
            self._wait = FIRST_WAIT if now - self._started > STEADY_SECONDS else min(LONGEST_WAIT, self._wait * 2)
            self._again_at = now + self._wait
            return self._process.returncode
        if now > self._again_at:
            self._close()
            self.start()
        return None

    def restart(self, seconds: float) -> None:
        """Have the process end in order within `seconds`; `keep_alive` starts it again as soon as it has ended."""
        if self._restart_by is None:
            self._restart_by = time.monotonic() + seconds
            self.signal(signal.SIGTERM)

    def last_words(self) -> str:
        """The last line that the process printed into its log, else its exit code."""
        return self._log.last_line() or f"exit code {self._process.poll()}"

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs."""
        if self.alive:
            self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the end of the process; return whether it ended."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """Kill the process and all below it."""
        if self.alive:
            end_tree(self._process.pid)
            self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
