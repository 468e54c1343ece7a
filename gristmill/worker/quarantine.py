"""Isolation: one piece of work at a time in a child process of its own, on either pool; it harms nothing else."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from gristmill.config.host import cores
from gristmill.config.settings import settings
from gristmill.errors import GristmillError
from gristmill.worker.limits import limit_memory, slot_memory

#: Deaths of the child process that prove a piece of work guilty, and seconds between them.
DEATHS, PAUSE_SECONDS = 3, 0.5
#: Seconds that a child process waits for more work before it ends, and that it may take to start.
IDLE_SECONDS, START_SECONDS = 10.0, 60.0
_BEGUN = "begun"

Answer = TypeVar("Answer")


class QuarantineUnavailable(GristmillError):
    """Raised when no child process can be started."""


class ProcessDied(Exception):
    """Raised when the child process ended before it answered: says how."""


class TimedOut(Exception):
    """Raised when the child process had to be ended because it took too long."""


class QuarantineProcess:
    """A child process that runs one call at a time; it is started when it is needed, and again after a death.

    It has a memory limit and a session of its own, and ends with this process.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None

    def run(self, function: Callable[..., Answer], *arguments: Any, seconds: float | None = None) -> Answer:
        """Call `function`, which has to be importable, with arguments that can be pickled.

        Raises:
            ProcessDied: the child process ended while it ran this.
            TimedOut: it took more than `seconds`, and was ended.
            QuarantineUnavailable: no child process could be started.
            Exception: whatever the function raised.
        """
        link = self._begin((function, arguments))
        try:
            if not link.poll(seconds):
                raise TimedOut(f"ended after {seconds:g} s")
            answer, error = link.recv()
        except (EOFError, OSError):
            raise ProcessDied(self._ending()) from None
        except BaseException:
            self.close()
            raise
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]

    def _begin(self, call: tuple[Callable[..., Any], tuple[Any, ...]]) -> Connection:
        """Give the child the call; once it says that it has begun, its end is its own doing."""
        for attempt in range(3):
            fresh = self._link is None
            link = self._link or self._start()
            with suppress(EOFError, OSError):
                link.send(call)
                if link.poll(START_SECONDS) and link.recv() == _BEGUN:
                    return link
            # One that was idle had just ended.
            ending = self._ending()
            if fresh and attempt:
                break
        raise QuarantineUnavailable(f"no child process could be started: {ending}")

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            code = (
                f"import sys; sys.path[:] = {sys.path!r}; "
                f"from gristmill.worker.quarantine import serve; serve({theirs.fileno()})"
            )
            self._child = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._link = Connection(ours.detach())
        return self._link

    def _ending(self) -> str:
        """End the child and say how it ended."""
        child = self._child
        if child is None:
            return "not started"
        try:
            # Its end of the link closes a moment before it is gone.
            code = child.wait(1)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return f"signal {-code} ({signal.Signals(-code).name})"
        return f"signal {-code}"

    def close(self) -> None:
        """End the child process."""
        if self._link is not None:
            self._link.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child = self._link = None


_free: list[QuarantineProcess] = []
_room = threading.BoundedSemaphore(cores())


@contextmanager
def quarantine_process() -> Iterator[QuarantineProcess]:
    """A quarantine process of this process for a while; as many as there are cores, others wait."""
    with _room:
        taken = _free.pop() if _free else QuarantineProcess()
        try:
            yield taken
        finally:
            _free.append(taken)


def quarantined(function: Callable[..., Answer], *arguments: Any, seconds: float | None = None) -> Answer:
    """Call `function` alone in a child process, anew after a death; raises as `QuarantineProcess.run` does.

    Raises:
        ProcessDied: it ended its process each time.
    """
    with quarantine_process() as own:
        for deaths in range(1, DEATHS + 1):
            try:
                return own.run(function, *arguments, seconds=seconds)
            except ProcessDied as death:
                last = death
            if deaths < DEATHS:
                # What killed it may have been a moment's lack of memory.
                time.sleep(PAUSE_SECONDS)
    raise ProcessDied(f"it ended its process each of {DEATHS} times: {last}")


def serve(descriptor: int) -> None:
    """Be the child: run what arrives, one call after another, until nothing has for a while."""
    link = Connection(descriptor)
    threading.Thread(target=_end_with_parent, args=(descriptor,), daemon=True).start()
    limit_memory(slot_memory(settings(), cores()))
    while link.poll(IDLE_SECONDS):
        function, arguments = link.recv()
        link.send(_BEGUN)
        try:
            link.send((function(*arguments), None))
        except Exception as error:
            link.send((None, error))


def _end_with_parent(descriptor: int) -> None:
    ending = select.poll()
    # No events: only that the other end was closed, which its process does when it ends in any way.
    ending.register(descriptor, 0)
    ending.poll()
    os.kill(os.getpid(), signal.SIGKILL)
