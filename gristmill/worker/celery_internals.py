"""What this room uses of Celery and billiard beyond their documented names, each under a name of ours.

`tests/unit/test_internals.py` asserts every name, and says what breaks when a version lacks it.
"""

import multiprocessing.process
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import ref

from billiard.common import terminate_handler_fired as is_terminated
from billiard.pool import ApplyResult
from celery.app import trace as celery_trace
from celery.app.trace import fast_trace_task
from celery.concurrency.asynpool import AsynPool
from celery.concurrency.asynpool import Worker as PoolProcess
from celery.concurrency.base import BasePool
from celery.concurrency.prefork import TaskPool as ProcessPool
from celery.concurrency.prefork import _run_ready_callbacks
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.request import Request as CeleryRequest
from celery.worker.strategy import default as default_strategy
from kombu.asynchronous import get_event_loop
from kombu.serialization import prepare_accept_content

#: What others import from here as it is.
__all__ = ["CeleryRequest", "PoolProcess", "ProcessPool", "ThreadPool", "default_strategy", "is_terminated"]


#: As it is before billiard's bootstrap of a pool process, whatever started that.
_MAIN_PROCESS = multiprocessing.process.current_process()


class CeleryConsumer(Consumer):
    """Celery's consumer, with a name for what it does to a message that a `rate_limit` of Celery has held."""

    def start_limited(self, request: Any) -> None:
        """Start a message whose time has come."""
        super()._limit_move_to_pool(request)

    def _limit_move_to_pool(self, request: Any) -> None:
        self.start_limited(request)


def limited_messages(consumer: Any) -> Iterator[Any]:
    """Take out the messages that a `rate_limit` of Celery holds."""
    for bucket in filter(None, consumer.task_buckets.values()):
        while bucket.contents:
            request, _tokens = bucket.pop()
            yield request


def control_node(consumer: Any) -> Any:
    """What answers remote control, with its commands by name in `handlers`; None if remote control is off."""
    return next((step.box.node for step in consumer.steps if hasattr(step, "box")), None)


def end_when_drained(code: int) -> None:
    """Have the worker end with that exit code once its messages have ended."""
    state.should_stop = code


def is_draining() -> bool:
    """Whether the worker ends once what it runs has ended."""
    return state.should_stop is not None or bool(state.should_terminate)


def wake(hub: Any) -> None:
    """Have Celery's event loop, if there is one, look at once whether the worker is to end; also from a signal handler.

    After a signal the loop goes on waiting. `call_soon` takes a lock, which this thread may hold.
    """
    if hub and (waker := hub._waker):
        waker.wake()


def in_loop(hub: Any, call: Callable[..., None], *arguments: Any) -> None:
    """Have the event loop, which owns the pool and the requests, make a call; without a loop, make it here."""
    if hub:
        hub.call_soon(call, *arguments)
    else:
        call(*arguments)


def trace(app: Any, name: str, *call: Any) -> Any:
    """Run the task `name` with all that Celery does around it; raises what Celery leaves to the pool.

    `call` is the id, the request, the body, its content type and encoding. Answers 1 for a failure or 0, the value as
    text or the error, and the seconds.
    """
    task = app.tasks[name]
    if task.__trace__ is None:
        # Who instruments Celery replaces it there.
        task.__trace__ = celery_trace.build_tracer(name, task, app.loader, call[1].get("hostname"), app=app)
    if app.use_fast_trace_task:
        return fast_trace_task(name, *call)
    # Outside a worker nothing was prepared for Celery's trace.
    local = [app.tasks, prepare_accept_content(app.conf.accept_content), call[1].get("hostname")]
    return fast_trace_task(name, *call, _loc=local)


def note_job(request: Any, answer: Any) -> None:
    """Note what a pool answered when it got the message of a request: Celery ends the job by it, and `is_over` asks it.

    The request's `job` is None where a pool tells nothing.
    """
    request._apply_result = None if answer is None else ref(answer)
    request.job = request._apply_result if hasattr(answer, "ready") else None


def is_over(request: Any) -> bool:
    """Whether the pool has finished the job of a request, or no longer has it."""
    if request.job is None:
        return False
    job = request.job()
    return job is None or bool(job.ready()) or (isinstance(job, ApplyResult) and job._cache.get(job._job) is not job)


def was_ended(request: Any) -> bool:
    """Whether this worker itself has ended the run of a request: it was cancelled, or revoked with `terminate`."""
    return bool(request._already_cancelled or request._already_revoked)


def note_cancel(request: Any) -> None:
    """Note that this worker ends the run of a request whose message goes back."""
    request._already_cancelled = True


def ends_runs(pool: Any) -> bool:
    """Whether a Celery task pool can end what it runs; those of threads and of the worker's main thread cannot."""
    # A pool of processes has the method of what it is made of.
    return getattr(pool.terminate_job, "__func__", None) is not BasePool.terminate_job


def pool_runs(request: Any, pool: Any) -> bool:
    """Whether a pool runs a request, or will whatever happens: a pool process reads what is being written to it."""
    if request._apply_result is None:
        return False
    if isinstance(pool, ThreadPool):
        # Nothing tells which jobs a thread pool has started. It runs all of them unless it is stopped.
        return bool(pool.active)
    job = request._apply_result()
    return bool(getattr(job, "_write_to", None) or getattr(job, "_scheduled_for", None))


@contextmanager
def unreported_jobs_kept(pool: Any) -> Iterator[None]:
    """Keep Celery from forgetting the jobs that pool processes have read but not reported as started."""
    processes: Any = getattr(pool, "_pool", None)
    every = list(getattr(processes, "_cache", {}).values())
    jobs = [job for job in every if job._write_to and not job._accepted]
    for job in jobs:
        job._accepted = True
    yield
    for job in jobs:
        job._accepted = job._time_accepted is not None
        if not (job._accepted or job._write_to) and job in processes._cache.values():
            # Its process has died meanwhile, and Celery has emptied what waits for one.
            processes.outbound_buffer.append(job)


def pool_of(owner: Any) -> Any:
    """The pool of a Celery task pool, or the processes of a billiard pool: both have it under one name."""
    return vars(owner)["_pool"]


def end_messages(hub: Any) -> None:
    """Acknowledge, or hand back, the messages that have ended, which an event loop has not come to."""
    if hub:
        _run_ready_callbacks(hub)


def end_idle_pool(pool: Any) -> bool:
    """End the processes of a Celery task pool, and wait for that; False if they have jobs."""
    processes = pool_of(pool)
    if processes is None or processes._cache:
        return False
    processes.close()
    processes.join()
    end_messages(get_event_loop())
    vars(pool)["_pool"] = None
    return True


def members_of(requests: Any) -> list[Any]:
    """The requests in one of the weak sets of Celery's `state`, which another thread changes meanwhile."""
    # A copy of the references is made in one step; to go over the set itself is not.
    return [request for reference in tuple(requests.data) if (request := reference()) is not None]


def taken_requests() -> set[Any]:
    """The requests whose messages this worker has taken and not acknowledged.

    `state.requests` has one of each id, and none once one of that id has ended: a message may have the id of another.
    """
    return {*members_of(state.reserved_requests), *members_of(state.active_requests)}


class HookedPool(AsynPool):
    """Celery's pool, which sees a death by a pidfd: an orphan may hold the pipe that billiard looks at."""

    def pool_has_died(self) -> None:
        """Called when processes have died, before the pool gives up their messages."""

    #: The place in the pool of the process that is being started.
    place = 0

    def _create_worker_process(self, i: int) -> Any:
        self.place = i
        return super()._create_worker_process(i)

    def resize(self, processes: int, starts: int) -> bool:
        """Bring the pool closer to `processes` processes, starting at most `starts`; return whether it has that size.

        Of the processes beyond the size, those end that are idle; the others get no more messages.
        """
        more = min(processes - self._processes, starts)
        if more > 0:
            self.grow(more)
            self.maintain_pool()
        elif more < 0:
            self._processes += more
            self._putlock.shrink(-more)
        surplus = self._set_surplus_aside()
        for process in surplus:
            if not any(_has(job, process) for job in self._cache.values()) and not process._controlled_termination:
                process.terminate_controlled()
        return not surplus and self._processes == processes

    def _set_surplus_aside(self) -> list[Any]:
        """Give no more messages to the processes beyond the size, and messages to all others; return the former."""
        surplus = []
        for process in pool_of(self):
            if process.index >= self._processes or process._controlled_termination:
                surplus.append(process)
                # Only the event loop gives messages to processes, and this runs on it.
                self._all_inqueues.discard(process.inqW_fd)
            elif process.inqW_fd in self._fileno_to_inq:
                self._all_inqueues.add(process.inqW_fd)
        return surplus

    def live_pids(self) -> list[int]:
        """The ids of the processes that run."""
        return [process.pid for process in pool_of(self) if is_running(process)]

    def _join_exited_workers(self, shutdown: bool = False) -> Any:
        if not all(is_running(process) for process in pool_of(self)):
            self.pool_has_died()
        return super()._join_exited_workers(shutdown)

    def on_job_process_down(self, job: Any, pid_gone: int) -> None:
        """Give a job of a dead process to another one; called by billiard.

        Not yet where the process has died since billiard looked at it: its last reports are not read, and what it says
        there to have ended would run twice. Its own death is seen next.
        """
        if all(process.pid != pid_gone for process in pool_of(self)):
            super().on_job_process_down(job, pid_gone)
            if job._time_accepted is None:
                # It is with no process until it is given again. Else Celery gives it to a later one with the same
                # descriptor without writing it there, and what a process has is kept when the connection breaks.
                job._write_to = job._scheduled_for = None

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if getattr(proc, "_sentinel_poll", self) is None:
            # Its death was seen just before the connection broke. The pool replaces it soon; Celery would end here.
            return
        if not hasattr(proc, "_sentinel_poll") and hasattr(os, "pidfd_open"):
            with suppress(OSError):
                proc._sentinel_poll = os.pidfd_open(proc.pid)
        super()._track_child_process(proc, hub)


def _has(job: Any, process: Any) -> bool:
    """Whether a process runs a job, or gets it."""
    return process.pid in job.worker_pids() or process in (job._write_to, job._scheduled_for)


def processes_of(pool: Any) -> HookedPool | None:
    """The processes of a Celery task pool; None if it has none of ours."""
    processes = vars(pool).get("_pool")
    return processes if isinstance(processes, HookedPool) else None


def release_multiprocessing() -> None:
    """Give Python's multiprocessing a current process of its own: billiard's may have no children, nor be pickled."""
    multiprocessing.process._current_process = _MAIN_PROCESS  # type: ignore[attr-defined]


def is_running(process: Any) -> bool:
    """Whether a pool process has not ended."""
    return process._popen is not None and process._popen.poll() is None
