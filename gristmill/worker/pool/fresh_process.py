"""A process of a pool that is no copy of its worker: it imports what it needs, and the user's tasks, itself."""

import os
import signal
import socket
import sys
import time
from typing import Any, NoReturn

from celery import Celery

from gristmill.errors import GristmillError
from gristmill.local.descendants import set_parent_death_signal
from gristmill.local.interpreter import command
from gristmill.server.waiting import OUTCOMES
from gristmill.tasks import catalog
from gristmill.tasks.application import app
from gristmill.worker.pool.billiard_internals import receive, run, spawnv_passfds
from gristmill.worker.slot import (
    chunk_task,  # noqa: F401 - registers its task
    quarantined_task,  # noqa: F401 - registers its task
)

#: Seconds that a process waits before it ends because it cannot import what it needs: another one replaces it.
PAUSE_SECONDS = 1.0


class Spawn:
    """Starts an interpreter for each process."""

    pid = 0

    def start(self) -> tuple[int, socket.socket]:
        """Start a process that is to `be` one of a pool; its id, and a socket that leads to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            return start_python(__name__, theirs, os.getpid()), ours


def start_python(module: str, link: socket.socket, *arguments: Any) -> int:
    """Start an interpreter that calls `main(descriptor of the link, *arguments)` of a module of ours; its id."""
    line = command(module, "main", link.fileno(), *arguments)
    # Ctrl-C reaches all processes of a terminal, and this one cannot ignore it yet.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return int(spawnv_passfds(sys.executable, line, [link.fileno()]))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_interrupts() -> None:
    """Ignore Ctrl-C, which `start_python` has blocked: the worker decides what happens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end_with(parent: int) -> None:
    """End this process when `parent` ends, whose child it is, even if that has ended already."""
    set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(os.EX_OK)


def main(descriptor: int, parent: int) -> NoReturn:
    """Be a process that `Spawn` has started."""
    os.set_inheritable(descriptor, False)
    ignore_interrupts()
    be(socket.socket(fileno=descriptor), parent)


def be(link: socket.socket, parent: int) -> NoReturn:
    """Be the process of a pool that comes over `link`, of the worker `parent`."""
    end_with(parent)
    try:
        catalog.load()
        process = receive(link)
    except (EOFError, OSError):
        os._exit(os.EX_OK)
    except Exception as error:
        # Such as a module that cannot be imported a second time, or a release that was installed meanwhile.
        reason = error if isinstance(error, GristmillError) else repr(error)
        sys.stderr.write(f"worker: a process cannot start: {reason}\n")
        sys.stderr.flush()
        time.sleep(PAUSE_SECONDS)
        os._exit(os.EX_CONFIG)
    wait_for_results(app)
    run(process)


def wait_for_results(app: Celery) -> None:
    """Have this process wait for the server for long when it has a task's result: a program that calls one does not."""
    app.conf.result_backend_transport_options["retry_policy"] = OUTCOMES.as_celery()
