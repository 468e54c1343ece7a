"""The fork server of a worker: a small process from which each process of the pool is forked.

It has imported Gristmill, and the user's tasks only if one of them preloads its setup. It forks twice, so that the
worker, a subreaper, becomes the parent of the new process: it learns how the process ends, and what it leaves.
"""

import errno
import logging
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from gristmill.config.task_modules import SHIPPED_TASKS
from gristmill.errors import GristmillError
from gristmill.fleet.worker_id import belong_to, node_name
from gristmill.server.connection import client, reaching
from gristmill.tasks import catalog
from gristmill.tasks.application import app
from gristmill.worker import logs
from gristmill.worker.pool.celery_internals import begin_process
from gristmill.worker.pool.fresh_process import be, end_with, ignore_interrupts, start_python
from gristmill.worker.pool.shared_memory import freeze
from gristmill.worker.slot.chunk_task import prepare
from gristmill.worker.slot.preparation import preload

#: Attempts to start a process, and seconds between them.
ATTEMPTS, PAUSE_SECONDS = 3, 0.2
#: Seconds between two looks for the parent of a process that waits to be adopted.
ADOPTION_SECONDS = 0.0005
_PID = struct.Struct("=Q")
#: What reaches all processes of a terminal, a service or a container is the worker's business.
_IGNORED = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)

log = logging.getLogger(__name__)


class ForkServer:
    """The fork server of this worker (its id), started when it is first needed, and again after its death.

    It preloads the setups of the tasks of `queues`; none without a queue.
    """

    def __init__(self, worker: str, queues: Sequence[str] = ()) -> None:
        self._worker, self._queues = worker, [*queues]
        self._link: socket.socket | None = None
        #: The id of its process, 0 without one.
        self.pid = 0

    def start(self) -> tuple[int, socket.socket]:
        """Have a process forked that is to be one of a pool; its id, and a socket that leads to it.

        Raises:
            OSError: no process starts.
        """
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            ours, theirs = socket.socketpair()
            with theirs, suppress(OSError):
                socket.send_fds(self._running(), [b"."], [theirs.fileno()])
            text = ours.recv(_PID.size, socket.MSG_WAITALL)
            if len(text) == _PID.size:
                return int(_PID.unpack(text)[0]), ours
            ours.close()
            self._close_if_dead()
        raise OSError(errno.EAGAIN, "the fork server starts no process")

    def _running(self) -> socket.socket:
        if self._link is None:
            self._link, theirs = socket.socketpair()
            with theirs:
                self.pid = start_python(__name__, theirs, os.getpid(), self._worker, self._queues)
        return self._link

    def _close_if_dead(self) -> None:
        try:
            is_dead = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        except ChildProcessError:
            is_dead = True
        if is_dead and self._link is not None:
            log.warning("the fork server of this worker has ended: another one is started")
            self._link.close()
            self._link, self.pid = None, 0


def main(descriptor: int, parent: int, worker: str, queues: list[str]) -> NoReturn:
    """Be the fork server of the process `parent`, the worker with the id `worker`, until that ends."""
    os.set_inheritable(descriptor, False)
    ignore_interrupts()
    end_with(parent)
    link = socket.socket(fileno=descriptor)
    belong_to(worker)
    _load(worker)
    # Now: Celery's initializer has given some of them their defaults.
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if queues:
        _preload(worker, queues)
    freeze()
    while True:
        _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
        if not descriptors:
            os._exit(os.EX_OK)
        try:
            _fork(link, descriptors[0], parent)
        except OSError as error:
            log.warning("cannot fork a process: %s", error)
        os.close(descriptors[0])


def _load(worker: str) -> None:
    """Load what the processes share beside this module: the tasks that ship, and what a chunk's run uses.

    Celery's initializer runs here too, before the user's modules are there, which may listen to its signals: each
    process runs it again, but most of what it loads and makes is shared.
    """
    for name in SHIPPED_TASKS:
        import_module(name)
    begin_process(app, node_name(worker))
    with suppress(GristmillError), reaching():
        # Else each process makes its own.
        _ = app.backend
        prepare()


def _preload(worker: str, queues: list[str]) -> None:
    logs.set_up()
    try:
        catalog.load()
        with reaching():
            preload(queues, worker, client())
    except GristmillError as error:
        log.warning("nothing is preloaded: each process runs the setups of its tasks: %s", error)
    # Each process opens connections of its own.
    client().connection_pool.disconnect()


def _fork(link: socket.socket, descriptor: int, worker: int) -> None:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    middle = os.getpid()
    try:
        if os.fork():
            os._exit(os.EX_OK)
    except OSError:
        os._exit(os.EX_OSERR)
    try:
        link.close()
        while os.getppid() == middle:
            time.sleep(ADOPTION_SECONDS)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_DFL)
        os.set_inheritable(descriptor, False)
        process = socket.socket(fileno=descriptor)
        process.sendall(_PID.pack(os.getpid()))
        be(process, worker)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(os.EX_SOFTWARE)
