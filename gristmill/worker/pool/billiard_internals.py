"""How a pool of billiard's starts its processes, beyond billiard's documented names; see `worker/celery_internals.py`.

A process that is no copy of this one gets what it is to run through a socket: descriptors, and a pickled object of
billiard's. Billiard's own `spawn` and `forkserver` lack what the pool needs. Its fork server gives descriptors new
numbers, by which the pool then looks for its processes in vain, and does not tell how a process has ended; and both
leave a helper process and named semaphores.
"""

import io
import logging
import os
import pickle
import signal
import socket
import struct
from contextlib import nullcontext, suppress
from typing import Any, NoReturn, Protocol

from billiard.compat import spawnv_passfds
from billiard.context import BaseContext, ForkContext, ForkProcess, set_spawning_popen
from billiard.pool import Worker
from billiard.popen_fork import Popen
from billiard.reduction import DupFd, dump
from billiard.sharedctypes import RawValue

#: What others import from here as it is.
__all__ = ["DupFd", "spawnv_passfds"]

_SIZE = struct.Struct("=Q")
#: The most descriptors that Linux sends at once.
_DESCRIPTORS_MOST = 253
_NO_LOGGERS = logging.Manager(logging.root)
#: The descriptors that this process has received.
_received: list[int] = []


class PromptEnd(Worker):
    """What runs in a process of a pool; it ends at once when the pool is closed.

    Billiard's sleeps for a second first, so that the pool reads of its end. A pool that is closed reads nothing more.
    """

    is_pool_closed = False

    def _do_exit(self, pid: int, exitcode: int | None, exc: BaseException | None = None) -> None:
        if not self.is_pool_closed:
            super()._do_exit(pid, exitcode, exc)
        try:
            if self.on_exit is not None:
                self.on_exit(pid, exitcode or os.EX_OK)
        finally:
            os._exit(exitcode or os.EX_OK)


class Starter(Protocol):
    """Starts processes that are no copies of this one."""

    #: The process that helps to start others, 0 without one.
    pid: int

    def start(self) -> tuple[int, socket.socket]:
        """Start a process that calls `receive`; its id, and a socket that leads to it."""


class _Descriptor:
    """A descriptor on its way to another process."""

    def __init__(self, place: int) -> None:
        self._place = place

    def detach(self) -> int:
        """The descriptor, in the process that has received it."""
        return _received[self._place]


class _Fork(Popen):
    """The start of a process, and its end, as billiard sees them."""

    def poll(self, flag: int = os.WNOHANG) -> Any:
        """The exit code of the process, None while it runs; `flag` 0 waits for it."""
        try:
            return super().poll(flag)
        except AssertionError:
            # It has asked to be traced (ptrace): the system tells its parent whenever a signal has stopped it.
            os.kill(self.pid, signal.SIGKILL)
            return super().poll(flag)


class _Start(_Fork):
    """The start of a process that has nothing of this one's memory."""

    method = "fresh"
    DupFd = _Descriptor

    def __init__(self, process: Any, starter: Starter) -> None:
        self._starter = starter
        self._descriptors: list[int] = []
        super().__init__(process)

    def duplicate_for_child(self, descriptor: int) -> int:
        """Have the process receive a descriptor; its place among all of them."""
        self._descriptors.append(descriptor)
        return len(self._descriptors) - 1

    def _launch(self, process: Any) -> None:
        text = io.BytesIO()
        set_spawning_popen(self)
        try:
            dump(process, text)
        finally:
            set_spawning_popen(None)
        self.pid, link = self._starter.start()
        # A process that has ended already is replaced as any other.
        with suppress(OSError):
            socket.send_fds(link, [_SIZE.pack(text.tell())], self._descriptors)
            link.sendall(text.getbuffer())
        # Readable when the process has ended.
        self.sentinel = link.detach()


class SlotProcess(ForkProcess):
    """A process of billiard's that leaves the loggers alone when it starts.

    Billiard makes the locks of all of them anew, which Python has done already: what a process writes to it has to
    copy, and loggers lie far apart.
    """

    _loggers: logging.Manager
    #: What it is to run, if `start` leaves the start to `start_together`.
    waiting: Worker | None = None

    @staticmethod
    def _Popen(process: Any) -> _Fork:  # noqa: N802
        return _Fork(process)

    def start(self) -> None:
        """Start the process, unless it waits for others."""
        if not self.waiting:
            super().start()

    def _bootstrap(self) -> Any:
        self._loggers, logging.Logger.manager = logging.Logger.manager, _NO_LOGGERS
        return super()._bootstrap()

    def run(self) -> None:
        """Run what the process is for."""
        logging.Logger.manager = self._loggers
        super().run()


class FreshProcess(SlotProcess):
    """A process of billiard's that a `Starter` starts."""

    starter: Starter

    @staticmethod
    def _Popen(process: Any) -> _Start:  # noqa: N802
        # The process object itself is sent.
        return _Start(process, vars(process).pop("starter"))


class _Count:
    """The number of jobs of a process whose end the pool has seen. Only the pool writes it, so it needs no lock."""

    def __init__(self) -> None:
        self._number = RawValue("i")

    @property
    def value(self) -> int:
        """The number."""
        return int(self._number.value)

    @value.setter
    def value(self, number: int) -> None:
        self._number.value = number

    get_lock = nullcontext


class _ForkContext(ForkContext):
    Process = SlotProcess

    def Value(self, *_: Any) -> _Count:  # noqa: N802
        return _Count()


class _FreshContext(BaseContext):
    def __init__(self, starter: Starter) -> None:
        self._starter = starter

    def Process(self, *args: Any, **kwargs: Any) -> FreshProcess:  # noqa: N802
        process = FreshProcess(*args, **kwargs)
        process.starter = self._starter
        return process

    def Value(self, *_: Any) -> _Count:  # noqa: N802
        return _Count()


def fork_context() -> Any:
    """What a pool takes as its `context` to fork its processes."""
    return _ForkContext()


def start_together(pool: Any) -> None:
    """Start the first processes of a new pool, all of which wait, one right after the other.

    A process keeps for itself, as it was, each page to which its worker writes before it forks the next one. Billiard
    would make the next process object in between, and so write to a hundred pages.
    """
    # Billiard has noted both of processes that had no ids.
    pool._on_ready_counters.clear()
    pool._poolctrl.clear()
    for process in pool._pool:
        worker, process.waiting = process.waiting, None
        process.start()
        pool._on_ready_counters[process.pid], pool._poolctrl[process.pid] = worker.on_ready_counter, worker._shutdown


def fresh_context(starter: Starter) -> Any:
    """What a pool takes as its `context` to have `starter` start its processes."""
    return _FreshContext(starter)


def receive(link: socket.socket) -> Any:
    """The process object of billiard's that this process is to `run`.

    Raises:
        EOFError: who sends it has ended.
    """
    head, descriptors, _, _ = socket.recv_fds(link, _SIZE.size, _DESCRIPTORS_MOST)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    _received[:] = descriptors
    if len(head) < _SIZE.size:
        raise EOFError
    (size,) = _SIZE.unpack(head)
    with link.makefile("rb") as file:
        text = file.read(size)
    if len(text) < size:
        raise EOFError
    return pickle.loads(text)  # noqa: S301 - the worker has written it


def run(process: Any) -> NoReturn:
    """Be that process, and end with its exit code."""
    os._exit(process._bootstrap())
