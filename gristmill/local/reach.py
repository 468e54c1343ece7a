"""What autoscale grows and shrinks: the pools of this host's `gristmill up`, or what a command makes of two numbers."""

import shlex
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from gristmill.config.figures import duration
from gristmill.errors import GristmillError, InputError, invalid_value
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.local.descendants import children
from gristmill.server.home import Home

#: Seconds that one call of a command may take.
COMMAND_SECONDS = 600.0
#: Seconds before a command that failed is called again: doubled at each failure.
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0


class ScalingFailed(GristmillError):
    """Raised when a change could not be made; autoscale tries it again."""


class Reach(Protocol):
    """What autoscale grows and shrinks: the base of each kind."""

    #: How its log names it.
    name: str
    #: Whether it may find room that no worker knows of, as a cloud does.
    is_elastic: bool = False

    def workers(self, live: Sequence[LiveWorker]) -> list[LiveWorker]:
        """Those of the live workers that it grows and shrinks."""

    def step(self, queue: str, live: Sequence[LiveWorker], before: int) -> int:  # noqa: ARG002
        """The number of slots of a queue that come and go together; `before` is what was said last, 0 at first."""
        return 1

    def apply(self, slots: Mapping[str, int], live: Sequence[LiveWorker]) -> None:
        """Come closer to so many slots for each queue. Repeating it changes nothing once they are there.

        Raises:
            ScalingFailed: it could not.
        """


class OwnPools(Reach):
    """The pools of the workers of the `gristmill up` in this host's home, which change their size while they run."""

    name = "`gristmill up`"

    def __init__(self, home: Home, registry: WorkerRegistry) -> None:
        self._home, self._registry = home, registry

    def workers(self, live: Sequence[LiveWorker]) -> list[LiveWorker]:
        """The children of that `gristmill up`."""
        holder = self._home.holder()
        pids = children(holder.pid) if holder else set()
        return [worker for worker in live if worker.pid in pids and worker.host == socket.gethostname()]

    def apply(self, slots: Mapping[str, int], live: Sequence[LiveWorker]) -> None:
        """Ask each worker for its slots: `up` has one of each queue."""
        for worker in self.workers(live):
            if worker.queue in slots and worker.slots != slots[worker.queue]:
                self._registry.resize(worker.id, slots[worker.queue])


class SizingCommand(Reach):
    """A command of the operator's, without a shell, for which {cpu} and {io} stand for the slots."""

    is_elastic = True

    def __init__(self, text: str) -> None:
        """Read the command.

        Raises:
            InputError: it is no command, or has neither of the places.
        """
        expected = "a command with {cpu} or {io}, such as 'scale-workers {cpu} {io}'"
        try:
            self._words = shlex.split(text)
        except ValueError:
            self._words = []
        if not self._words or not ("{cpu}" in text or "{io}" in text):
            raise InputError(invalid_value("--exec", text, expected))
        self.name = f"`{self._words[0]}`"
        self._last: dict[str, int] | None = None
        self._wait, self._again_at = FIRST_WAIT, 0.0

    def workers(self, live: Sequence[LiveWorker]) -> list[LiveWorker]:
        """All of them: nobody here knows which ones are the command's."""
        return list(live)

    def apply(self, slots: Mapping[str, int], _live: Sequence[LiveWorker]) -> None:
        """Call the command when the numbers have changed, or when it failed."""
        if slots == self._last or time.monotonic() < self._again_at:
            return
        words = [word.replace("{cpu}", str(slots["cpu"])).replace("{io}", str(slots["io"])) for word in self._words]
        try:
            run(words)
        except ScalingFailed:
            self._again_at = time.monotonic() + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            raise
        self._last, self._wait = dict(slots), FIRST_WAIT


def run(words: Sequence[str]) -> str:
    """Run a command to its end; its output.

    Raises:
        ScalingFailed: it cannot be run, fails or takes too long.
    """
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, ValueError) as error:
        raise ScalingFailed(f"{shlex.join(words)}: {error}") from None
    except subprocess.TimeoutExpired:
        raise ScalingFailed(f"{shlex.join(words)} has not ended within {duration(COMMAND_SECONDS)}") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise ScalingFailed(f"{shlex.join(words)} failed with code {done.returncode}: {last}")
    return done.stdout
