"""How processes of a pool of Celery's begin and get messages, beyond documented names.

See `worker/celery_internals.py`.
"""

import os
import pickle
import signal
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from billiard.pool import ACK, READY
from celery import platforms
from celery._state import _set_task_join_will_block
from celery.app.trace import setup_worker_optimizations
from celery.concurrency import prefork
from celery.concurrency.asynpool import ResultHandler
from celery.signals import worker_process_init
from celery.worker import state

from gristmill.local.descendants import set_parent_death_signal
from gristmill.server.readable import is_readable
from gristmill.worker.celery_internals import HookedPool, PoolProcess
from gristmill.worker.pool.lots import ENDED_AND_BEGUN, LOT, Inbox, Tickets
from gristmill.worker.restoration.signal_state import reset_signals

#: What stands before each message on a pipe of billiard's: its length. The most bytes of one read.
HEAD, READ_MOST = struct.Struct(">i"), 65_536


def begin_process(app: Any, node_name: str) -> None:
    """Make this process, which has just started, one of the pool of a worker with that node name."""
    # A process that is no copy of its worker lacks what the worker has prepared.
    setup_worker_optimizations(app, node_name)
    prefork.process_initializer(app, node_name)


def begin_copy(app: Any, node_name: str) -> None:
    """Make this process, a copy of its worker, one of its pool: `process_initializer` without what the copy has.

    A copy shares with its worker the memory to which it does not write, and Python writes to all that it uses. So the
    tracer of a task, which knows its process, is made when the task first runs.
    """
    if "%i" in os.environ.get("CELERY_LOG_FILE", "").lower():
        # Each process has a log file of its own.
        begin_process(app, node_name)
        return
    set_parent_death_signal(signal.SIGKILL)
    _set_task_join_will_block(True)
    reset_signals(prefork.WORKER_SIGRESET, prefork.WORKER_SIGIGNORE)
    platforms.set_mp_process_title("celeryd", hostname=node_name)
    app.loader.init_worker_process()
    for task in app.tasks.values():
        task.__trace__ = None
    state.reset_state()
    # `process_destructor` tells it to those who listen.
    prefork._process_hostname = node_name
    worker_process_init.send(sender=node_name)


class LotProcess(PoolProcess):
    """A process of the pool that reads lots."""

    tickets: Tickets
    inbox: Inbox
    wait_for_job: Callable[[], Any]

    def __reduce__(self) -> tuple[Any, ...]:
        kind, arguments = super().__reduce__()
        return kind, arguments, {"tickets": self.tickets}

    def after_fork(self) -> None:
        """Called in the process when it has started."""
        super().after_fork()
        self.inbox = Inbox(self.wait_for_job, self.outq.put, self.tickets)
        self.wait_for_job, self.outq.put = self.inbox.wait, self.inbox.tell

    def _ensure_messages_consumed(self, completed: int) -> Any:
        self.inbox.flush()
        return super()._ensure_messages_consumed(completed)


class ReportReader(ResultHandler):
    """Celery's reader of the reports of processes, which reads all that has come in one call."""

    def _flush_outqueue(self, fd: int, remove: Any, process_index: Any, on_state_change: Any) -> Any:
        """Read all reports of a process at the pool's end: Celery's reads one, and sleeps for those that have none."""
        process, result = process_index.get(fd), super()._flush_outqueue(fd, remove, process_index, on_state_change)
        while process is not None and process_index.get(fd) is process and is_readable(fd):
            result = super()._flush_outqueue(fd, remove, process_index, on_state_change)
        return result

    def _recv_message(self, add_reader: Any, fd: int, callback: Callable[[Any], None], **_: Any) -> Iterator[None]:
        rest, has_waited = bytearray(), False
        while True:
            try:
                part = os.read(fd, READ_MOST)
            except (BlockingIOError, InterruptedError):
                has_waited = True
                yield
                continue
            if not part:
                raise OSError("end of file within a report") if rest else EOFError
            rest += part
            reports = _take_reports(rest)
            if has_waited and not rest:
                # Until here the event loop has called this generator.
                add_reader(fd, self.handle_event, fd)
            for report in reports:
                callback(report)
            if not rest:
                return


def _take_reports(text: bytearray) -> list[Any]:
    """Take the reports that are whole from what was read."""
    reports, start = [], 0
    while len(text) - start >= HEAD.size:
        end = start + HEAD.size + HEAD.unpack_from(text, start)[0]
        if end > len(text):
            break
        reports.append(pickle.loads(text[start + HEAD.size : end]))  # noqa: S301 - a pool process has written it
        start = end
    del text[:start]
    return [report for report in reports if report]


class GivingPool(HookedPool):
    """Celery's pool, in which `give` says which process gets which messages."""

    Worker, ResultHandler = LotProcess, ReportReader
    hub: Any
    #: Gives the next message to each of these processes that is idle, as Celery does.
    give_one: Callable[[Sequence[int]], None]
    #: The descriptor of the process that has just reported an end with the next beginning.
    _going_on: int | None = None

    def give(self, descriptors: Sequence[int]) -> None:
        """Give messages to the idle ones of these processes; called when there are both."""
        raise NotImplementedError

    def note_end(self, job: Any, answer: Any) -> None:
        """Called when a process has reported the end of a job; `answer` has whether it went well, and the value."""

    def note_report(self, descriptor: int, is_idle: bool) -> None:
        """Called when a process has reported an end; it `is_idle` now, or goes on with its lot."""

    def WorkerProcess(self, worker: LotProcess) -> Any:  # noqa: N802
        """The process object of billiard's that runs `worker`."""
        worker.tickets = Tickets()
        process = super().WorkerProcess(worker)
        process.tickets = worker.tickets
        return process

    def create_result_handler(self) -> Any:
        """What reads the reports of processes."""
        handler = super().create_result_handler()
        handlers = handler.state_handlers

        def ended_and_begun(end: bytes, beginning: tuple[Any, ...]) -> None:
            job, place, answer, descriptor = pickle.loads(end)  # noqa: S301 - a pool process has written it
            self._going_on = descriptor
            try:
                handlers[READY](job, place, answer, descriptor)
            finally:
                self._going_on = None
                handlers[ACK](*beginning)

        handlers[ENDED_AND_BEGUN] = ended_and_begun
        return handler

    def on_job_ready(self, job: int, i: Any, obj: Any, inqW_fd: int) -> None:  # noqa: N803
        """Note the end of a job; called by billiard."""
        if running := self._cache.get(job):
            self.note_end(running, obj)
        is_idle = inqW_fd != self._going_on
        if is_idle:
            super().on_job_ready(job, i, obj, inqW_fd)
        self.note_report(inqW_fd, is_idle)

    def _create_write_handlers(self, hub: Any, **options: Any) -> None:
        super()._create_write_handlers(hub, **options)
        self.hub, self.give_one, hub.consolidate_callback = hub, hub.consolidate_callback, self.give

    def is_idle(self, descriptor: int) -> bool:
        """Whether a process can take a message."""
        busy = (self._busy_workers, self._active_writes)
        return descriptor in self._all_inqueues and not any(descriptor in each for each in busy)

    def give_lot(self, descriptor: int, jobs: Sequence[Any]) -> Any:
        """Write several messages to an idle process; return the process."""
        process, (first, *others) = self._fileno_to_inq[descriptor], jobs
        process.tickets.issue(len(others))
        head, body, size = self._create_payload(LOT, [bytes(job._payload[1]) for job in jobs])
        own, first._payload = first._payload, (memoryview(head), memoryview(body), size)
        self.outbound_buffer.appendleft(first)
        try:
            self.give_one([descriptor])
        finally:
            first._payload = own
            for job in others:
                job._write_to = job._scheduled_for = process
        return process

    @staticmethod
    def request_of(options: dict[str, Any]) -> Any:
        """Celery's request, of the options with which it calls `apply_async`; None if somebody else calls."""
        return getattr(options.get("accept_callback"), "__self__", None)

    def take_back(self, jobs: Sequence[Any]) -> None:
        """Have jobs that were given to a process given to whoever is idle, before all others."""
        for job in jobs:
            job._write_to = job._scheduled_for = None
        self.outbound_buffer.extendleft(reversed(jobs))

    @staticmethod
    def size_of(job: Any) -> int:
        """The bytes that a process has to read."""
        return int(job._payload[2])

    @staticmethod
    def limits_of(job: Any) -> tuple[float | None, float | None]:
        """The time limits of a job, its own or the pool's: the hard and the soft one, in seconds; None: none."""
        return job._timeout, job._soft_timeout

    @staticmethod
    def has_begun(job: Any) -> bool:
        """Whether a process has reported that it runs the job."""
        return bool(job._accepted)


def before_threads_are_joined(call: Callable[[], None]) -> None:
    """Have Python call this at its exit before it waits for threads that are no daemons."""
    threading._register_atexit(call)  # type: ignore[attr-defined]
