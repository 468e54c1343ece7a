"""`submit`: the items of a Python program as one batch."""

import logging
from collections.abc import Coroutine, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar, overload

from typing_extensions import Unpack

from gristmill.errors import InputError, invalid_value
from gristmill.producer.append_options import AppendOptions
from gristmill.producer.batch import Batch
from gristmill.producer.batch_options import DEFAULT_PRIORITY, BatchOptions, SubmitOptions
from gristmill.producer.follow_ups import After
from gristmill.producer.new_submission import new_submission
from gristmill.producer.start_time import StartTime
from gristmill.producer.task_lookup import checked_task
from gristmill.producer.values import fixed_arguments, source_of
from gristmill.producer.watching import deadline_of
from gristmill.server.waiting import within
from gristmill.tasks.kind import Kind
from gristmill.tasks.task import GristmillTask

log = logging.getLogger(__name__)

T_contra = TypeVar("T_contra", contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class OneParameterTask(Protocol[T_contra, R_co]):
    """A task whose item is the value of its first parameter: all others have a default."""

    @property
    def kind(self) -> Kind: ...
    def __call__(self, item: T_contra, /) -> R_co: ...


@overload
def submit(
    task: OneParameterTask[T_contra, Coroutine[Any, Any, R]],
    items: Iterable[T_contra] | Batch[Any] = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
def submit(
    task: OneParameterTask[T_contra, R], items: Iterable[T_contra] | Batch[Any] = ..., **options: Unpack[SubmitOptions]
) -> Batch[R]: ...
@overload
def submit(
    task: GristmillTask[..., Coroutine[Any, Any, R]],
    items: Iterable[Mapping[str, Any]] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any] | None = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
def submit(
    task: GristmillTask[..., R],
    items: Iterable[Mapping[str, Any]] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any] | None = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
def submit(
    task: GristmillTask[..., Coroutine[Any, Any, R]],
    items: Iterable[Any] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any],
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
def submit(
    task: GristmillTask[..., R],
    items: Iterable[Any] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any],
    **options: Unpack[SubmitOptions],
) -> Batch[R]: ...
@overload
def submit(
    task: str,
    items: Iterable[Any] | Batch[Any] = ...,
    *,
    set: Mapping[str, Any] | None = ...,
    **options: Unpack[SubmitOptions],
) -> Batch[Any]: ...
def submit(  # noqa: PLR0913
    task: Any,
    items: Iterable[Any] | Batch[Any] | None = None,
    *,
    name: str | None = None,
    set: Mapping[str, Any] | None = None,  # noqa: A002
    queue: str | None = None,
    priority: int = DEFAULT_PRIORITY,
    halt: str | None = None,
    ttl: str | float | None = None,
    keep_logs: str | None = None,
    output_dir: str | None = None,
    memory: str | float | None = None,
    slots: int | None = None,
    retries: int | None = None,
    time_limit: str | float | None = None,
    max_running: str | int | None = None,
    rate: str | None = None,
    limit_by: str | None = None,
    labels: Mapping[str, str] | None = None,
    append: bool = False,
    close_after: str | float | None = None,
    dedupe_by: str | None = None,
    token: str | None = None,
    at: datetime | str | None = None,
    after: After | None = None,
    state: str | Iterable[str] | None = None,
    flatten: bool = False,
    notify: str | None = None,
    max_wait: str | float | None = None,
) -> Batch[Any]:
    """Store `items` on the server as one batch of `task`, and return the batch; workers run the items.

    Args:
        task: a function decorated with `@cpu` or `@io`, or a task's name. A program that does not have the task's
            module can name a task that live workers know: they check the values of the items.
        items: values of the one parameter that has no default and is not in `set`, or dicts of arguments. A list is
            checked as a whole before any item is stored; an iterator is read once, and each item checked as it comes.
            A batch: what its task returns becomes the items as it is recorded, from now on and so far, whether or not
            this program goes on. Without `items`, a task whose every parameter has a default or is in `set` runs once:
            its item is `{}`.
        name: the batch's name (default: a new one). The same name with the same items again stores only what is
            missing, so an interrupted `submit` can be repeated.
        set: arguments that all items share, by parameter.
        queue: the queue whose workers run the items (default: the task's).
        priority: from 0 (first) to 9 (last).
        halt: cancel the batch once `"fail=N"` items, or `"fail=P%"` of all items, have failed, or `"success=N"` or
            `"success=P%"` have succeeded. Items that run then finish; with `"now,"` before it, workers end them.
        ttl: how long the server keeps the batch after it ends: seconds, or text such as `"12h"` or `"7d"` (default:
            the setting GRISTMILL_TTL_SECONDS).
        keep_logs: whose output the server keeps: that of `"failed"` (and dead) items, of `"all"`, or of `"none"`
            (default: the setting GRISTMILL_KEEP_LOGS).
        output_dir: have all that each item writes in the file `{index}/output` of this directory, a path below the
            data root of the worker's host (default: only the server keeps the end of it).
        memory: what an item reserves of its worker's memory, and its limit: bytes, or text such as `"4G"` (default: as
            the task says).
        slots: how many of its worker's slots an item takes while it runs (default: as the task says).
        retries: how many more times an item that failed is tried (default: as the task says).
        time_limit: how long an item may run: seconds, or text such as `"30s"`; 0 for no limit (default: as the task
            says). Nothing ends an item that runs in a thread.
        max_running: how many of its items run at once, over all workers: a number, `"50%"` of what the slots of its
            queue run at each moment, or `"+2"`, so many more (default: no limit).
        rate: how many of its items are handed out in a time, over all workers, such as `"10/s"`, `"600/m"` or
            `"1000/h"` (default: no limit).
        limit_by: the name for each value of which `max_running` and `rate` hold: a parameter, such as `"customer"`, a
            column of items that are objects, or what the task derives, such as `"host"` of `fetch` (default: they hold
            for all items together).
        labels: words by which `gristmill batches --label` finds the batch, such as `{"team": "maps"}`.
        append: add the items to the batch `name`, which takes more until somebody closes it (`Batch.close`), and is
            made if there is none. Any number of programs may append at once.
        close_after: close the batch once nothing was added to it for this long: seconds, or text such as `"1h"`.
        dedupe_by: a parameter: an item whose value of it the batch has already is not added again. Up to a million
            values are remembered.
        token: a name for this append: the same one with the same items again adds only what is missing. Without it, an
            append of a list that was interrupted is continued by the next one with the same items.
        at: when the batch begins: a datetime (one without a time zone is local time), or text such as
            `"2026-01-31T02:30"` or `"02:30"`. Until then it is `scheduled`, and the server has its items.
        state: where `items` is a batch, the states of those of its items that are taken, as `Batch.results` has them
            (default: `"succeeded"`). An item that failed or is dead gives its own input.
        flatten: where `items` is a batch, a list that its task returned is as many items as it has elements.
        after: batches, or their names, for whose end this batch waits: it begins once all their items have succeeded,
            or, of `(batch, "ended")` or `"name:ended"`, once they have ended. When that can no longer come true, it is
            cancelled, and its `reason` says so.
        notify: a URL that a worker tells when the batch has ended, and when it is stuck: an HTTP POST of JSON, at least
            once, signed with GRISTMILL_NOTIFY_SECRET where workers have it.
        max_wait: how long to wait for a server that is full: seconds, or text such as `"10m"` (default: no limit). A
            server that is away is waited for as long, but for 5 seconds at most.

    A batch that exists already keeps these options. Warnings, for example that no worker listens to the queue, go to
    the logger `gristmill.producer.submit`.

    Raises:
        InputError: an item, a name or an option is not valid, or workers listen to the queue and none knows the task.
        BatchCancelled: the batch was cancelled before all its items were stored.
        ServerError: the server cannot be reached or refuses writes.
        SettingError: a setting of this host is not valid, or a module with tasks cannot be imported.
        TimeoutError: the server is still full after `max_wait`; the stored items stay stored.
    """
    options = BatchOptions.of(
        priority,
        halt,
        ttl,
        keep_logs=keep_logs,
        output_dir=output_dir,
        slots=slots,
        memory=memory,
        retries=retries,
        time_limit=time_limit,
        max_running=max_running,
        rate=rate,
        limit_by=limit_by,
        labels=labels,
        after=after,
        from_batch=items.name if isinstance(items, Batch) else None,
        state=state,
        flatten=flatten,
        notify=notify,
    )
    deadline = deadline_of(max_wait)
    fixed = fixed_arguments(set)
    with within(deadline):
        known_task = checked_task(task)
    appending = _append_options(append, close_after=close_after, dedupe_by=dedupe_by, token=token)
    has_one = not appending and not known_task.schema.open_parameters(fixed)
    source = source_of(() if items is None and appending else items, has_one)
    if appending and at is not None:
        raise InputError(invalid_value("at", at, "no value with append"))
    start = None if at is None else StartTime.of(at)
    keywords: dict[str, Any] = {"name": name, "fixed": fixed, "queue": queue, "options": options, "at": start}
    submission = new_submission(known_task, source, append=appending, **keywords)
    return submission.send_checked(deadline, log)


def _append_options(append: bool, **options: Any) -> AppendOptions | None:
    if append:
        return AppendOptions.of(**options)
    for name, value in options.items():
        if value is not None:
            raise InputError(invalid_value(name, value, "no value without append"))
    return None
