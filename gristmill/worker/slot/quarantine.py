"""Quarantine: runs one call at a time in a child process of its own, which can harm nothing else; on either pool."""

import os
import resource
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeVar

from gristmill.config.host import cores
from gristmill.config.settings import settings
from gristmill.errors import GristmillError
from gristmill.local.descendants import (
    END_SECONDS,
    become_subreaper,
    children,
    end_descendants,
    end_tree,
    set_parent_death_signal,
)
from gristmill.local.interpreter import command
from gristmill.tasks import catalog
from gristmill.worker.limits import limit_memory, slot_memory
from gristmill.worker.output.capture import capture_process
from gristmill.worker.output.output_file import OutputFile, new_file
from gristmill.worker.restoration.state import process_state

#: Deaths of the child process that prove a call guilty, and seconds between them.
DEATHS, PAUSE_SECONDS = 3, 0.5
#: Seconds that an idle child process waits for the next call, and seconds that it may take to start.
IDLE_SECONDS, START_SECONDS = 10.0, 60.0
_STARTED = "started"

Answer = TypeVar("Answer")


class QuarantineUnavailable(GristmillError):
    """Raised when no child process can be started."""


class ProcessDied(Exception):
    """Raised when the child process ended before it answered; the text says how, `output` what it wrote at last."""

    output: str | None = None


class TimedOut(Exception):
    """Raised when the call took too long and the child process was killed. `output` is the end of what it wrote."""

    output: str | None = None


class QuarantineProcess:
    """A child process that runs one call at a time; a call starts it when it is needed, and again after a death.

    The child has a memory limit and a session of its own, and ends with this process.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None
        #: The file into which the child writes what its items write.
        self._file: int | None = None

    def run(self, function: Callable[..., Answer], *arguments: Any, seconds: float | None = None) -> Answer:
        """Call `function`, which the child can import, with `arguments`, which pickle can carry.

        Raises:
            ProcessDied: the child process ended during the call.
            TimedOut: the call took more than `seconds`, and the child was killed.
            QuarantineUnavailable: no child process starts.
            Exception: whatever the function raised.
        """
        link = self._begin((function, arguments))
        try:
            if not link.poll(seconds):
                raise TimedOut(f"killed after {seconds:g} s")
            answer, error = link.recv()
        except (EOFError, OSError):
            death = ProcessDied(self._ending())
            death.output = self._last_words()
            raise death from None
        except BaseException as error:
            self.close()
            if isinstance(error, TimedOut):
                error.output = self._last_words()
            raise
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]

    def _last_words(self) -> str | None:
        return None if self._file is None else OutputFile(self._file).last_words()

    def _begin(self, call: tuple[Callable[..., Any], tuple[Any, ...]]) -> Connection:
        """Send the call to the child. Once the child says that the call has started, its death is the call's doing."""
        for _ in range(2):
            try:
                link = self._link or self._start()
            except OSError as error:
                # The host has no process, descriptor or memory left: that is no doing of the call's.
                raise QuarantineUnavailable(f"cannot start a child process: {error}") from error
            with suppress(EOFError, OSError):
                link.send(call)
                if link.poll(START_SECONDS) and link.recv() == _STARTED:
                    return link
            # An idle child had just ended, or a new one did not start.
            ending = self._ending()
        raise QuarantineUnavailable(f"cannot start a child process: {ending}")

    def _start(self) -> Connection:
        if self._file is None:
            self._file = new_file()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self._child = subprocess.Popen(
                command(__name__, "serve", theirs.fileno(), self._file),
                pass_fds=[theirs.fileno(), self._file],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._link = Connection(ours.detach())
        return self._link

    def _ending(self) -> str:
        """End the child; return how it ended."""
        child = self._child
        if child is None:
            return "not started"
        try:
            # The child's end of the link closes a moment before the child ends.
            code = child.wait(1)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return f"signal {-code} ({signal.Signals(-code).name})"
        return f"signal {-code}"

    @property
    def pid(self) -> int:
        """The id of the child process, 0 without one."""
        return self._child.pid if self._child else 0

    def close(self) -> None:
        """End the child process."""
        if self._link is not None:
            self._link.close()
        if self._child is not None:
            _end(self._child)
        self._child = self._link = None


def _end(guard: "subprocess.Popen[bytes]") -> None:
    """Kill the process that runs the calls; its guard ends what it has left, and then itself."""
    if guard.poll() is None:
        for pid in children(guard.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            guard.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            end_tree(guard.pid)
            guard.wait()


_free: list[QuarantineProcess] = []
_room = threading.BoundedSemaphore(cores())


@contextmanager
def quarantine_process() -> Iterator[QuarantineProcess]:
    """Borrow a quarantine process; there is one for each core, and further callers wait."""
    with _room:
        process = _free.pop() if _free else QuarantineProcess()
        try:
            yield process
        finally:
            _free.append(process)


def quarantined(
    function: Callable[..., Answer],
    *arguments: Any,
    seconds: float | None = None,
    prepare: Callable[[QuarantineProcess], None] | None = None,
) -> Answer:
    """Call `function` in a child process, again after a death; raises as `QuarantineProcess.run` does.

    `prepare` gets the process before each call, to make calls of its own; what it raises ends everything.

    Raises:
        ProcessDied: the call killed its process each time.
    """
    with quarantine_process() as own:
        for deaths in range(1, DEATHS + 1):
            if prepare:
                prepare(own)
            try:
                return own.run(function, *arguments, seconds=seconds)
            except ProcessDied as death:
                last = death
            if deaths < DEATHS:
                # The cause may have been a short lack of memory.
                time.sleep(PAUSE_SECONDS)
    conviction = ProcessDied(f"the call killed its process {DEATHS} of {DEATHS} times: {last}")
    conviction.output = last.output
    raise conviction


def pids() -> list[int]:
    """The quarantine processes of this process."""
    return [process.pid for process in _free if process.pid]


def serve(descriptor: int, file: int) -> None:
    """Be the child: run one call after another in a child of its own, until none has come for IDLE_SECONDS.

    This process then ends what the calls have left, and ends as its child did.
    """
    os.set_inheritable(descriptor, False)
    become_subreaper()
    child = os.fork()
    if child:
        os.close(descriptor)
        os.close(file)
        while os.WIFSTOPPED(status := os.waitpid(child, 0)[1]):
            # It has asked to be traced (ptrace), and nobody does.
            os.kill(child, signal.SIGKILL)
        end_descendants(os.getpid())
        _end_like(status)
    # The thread that has forked is the guard's only one.
    set_parent_death_signal(signal.SIGKILL)
    os.setpgid(0, 0)
    capture_process(file)
    _serve_calls(Connection(descriptor))
    os._exit(0)


def _serve_calls(link: Connection) -> None:
    threading.Thread(target=_end_with_parent, args=(link.fileno(),), daemon=True).start()
    limit_memory(slot_memory(settings(), cores()))
    # What modules set for the process when they are imported is no item's change. A fault of theirs shows in the call.
    with suppress(Exception):
        catalog.load()
    process_state.begin()
    while not process_state.is_spent and link.poll(IDLE_SECONDS):
        function, arguments = link.recv()
        link.send(_STARTED)
        items = process_state.items
        answer: tuple[Any, Exception | None]
        try:
            answer = function(*arguments), None
        except Exception as error:
            answer = None, error
            # Of what an item does, its outcome tells: this process may be broken.
            process_state.is_spent = True
        process_state.leave_if_forked()
        if process_state.items == items:
            # A task's setup, or a plain Celery task: an item restores the process itself.
            process_state.adopt()
        link.send(answer)


def _end_like(status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        # Without a second core file.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(max(code, 0))


def _end_with_parent(descriptor: int) -> None:
    ending = select.poll()
    # No events but the hang-up: the other end closes when its process ends, in any way.
    ending.register(descriptor, 0)
    ending.poll()
    os.kill(os.getpid(), signal.SIGKILL)
