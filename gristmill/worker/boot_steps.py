"""Steps that every worker of the app starts with, before its pool: guard it, limit its memory, load what it shares."""

import logging
import os
from typing import Any

from celery.bootsteps import Step
from celery.concurrency import get_implementation
from celery.signals import worker_process_init, worker_shutdown
from celery.utils.log import current_process_index

from gristmill.config.settings import settings, variable
from gristmill.errors import GristmillError
from gristmill.fleet.worker_id import worker_id
from gristmill.local.descendants import become_subreaper, end_descendants
from gristmill.local.orphans import reap_in_background
from gristmill.server.connection import client, other_schema, reaching
from gristmill.server.rights import BATCHES, TRANSPORT, grant, refused_commands
from gristmill.server.waiting import OUTCOMES
from gristmill.tasks.kinds import kind_of
from gristmill.tasks.task import Kind
from gristmill.worker import logs
from gristmill.worker.capture import capture_process, capture_threads
from gristmill.worker.celery_internals import ProcessPool, ThreadPool
from gristmill.worker.chunk_task import prepare
from gristmill.worker.limits import limit_memory, slot_memory
from gristmill.worker.output_file import OutputFile, new_file
from gristmill.worker.pool import ItemTaskPool
from gristmill.worker.preparation import preload
from gristmill.worker.transport_steps import freeze, refuse

log = logging.getLogger(__name__)
#: Why the pool of each kind suits its tasks.
REASONS = {
    Kind.CPU: "CPU-bound tasks in threads of one process share one core: the GIL lets one run at a time",
    Kind.IO: "I/O-bound tasks wait: a process for each would cost its memory for nothing",
}


class PoolGuard(Step):
    """Refuses to start a worker whose pool does not suit a queue that it listens to."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        if not settings().any_pool:
            for queue in worker.app.amqp.queues.consume_from:
                kind = kind_of(queue)
                if kind and not issubclass(worker.pool_cls, get_implementation(kind.pool)):
                    refuse(
                        f"queue {queue} needs pool {kind.pool}: {REASONS[kind]}. Start the worker with "
                        f"--pool {kind.pool}, or set {variable('any_pool')}=true to compare pools"
                    )
        super().__init__(worker, **kwargs)


class SlotMemory(Step):
    """Limits the memory of each pool process, so that an item that needs too much fails, and not the host."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        size = slot_memory(settings(), worker.max_concurrency or worker.concurrency)
        worker_process_init.connect(lambda **_: limit_memory(size), weak=False)
        super().__init__(worker, **kwargs)


class Containment(Step):
    """Has what items start end with them."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        if issubclass(worker.pool_cls, ProcessPool):
            worker.pool_cls = ItemTaskPool
        become_subreaper()
        if issubclass(worker.pool_cls, ThreadPool):
            reap_in_background()
        worker_shutdown.connect(end_what_is_left, weak=False)
        super().__init__(worker, **kwargs)


def end_what_is_left(**_: Any) -> None:
    """End what the items of this worker have left, at its end."""
    end_descendants(os.getpid())


class CaptureOutput(Step):
    """Tells apart what items write: in each process of a pool, or in the threads of this one."""

    # That step gives the worker its `max_concurrency`, and Celery's order of steps is another in each process.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        if issubclass(worker.pool_cls, ProcessPool):
            # One for each place in the pool: a process that takes the place of one that died finds its item's output.
            places = worker.max_concurrency or worker.concurrency
            files = [new_file() for _ in range(places)] if settings().log_bytes else []
            worker_process_init.connect(lambda **_: _capture_pool_process(files), weak=False)
        else:
            capture_threads()
        super().__init__(worker, **kwargs)


def _capture_pool_process(files: list[int]) -> None:
    place = current_process_index(0)
    file = files[place] if place in range(len(files)) else None
    output = None if file is None else OutputFile(file).last_words()
    logs.write_to(capture_process(file))
    if output is not None:
        log.warning("the process before this one ended while it ran an item, which had written:\n%s", output)


class Prepare(Step):
    """Loads what every pool process needs before the first one starts, so that they share its memory."""

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        try:
            with reaching():
                prepare()
                commands = refused_commands(client(), settings().prefix, (*TRANSPORT, *BATCHES))
                preload(worker.app.amqp.queues.consume_from, worker_id(worker.hostname), client())
        except GristmillError as error:
            if other_schema(error):
                refuse(str(error))
        else:
            if commands:
                refuse(grant(client(), commands))
            # Each process opens connections of its own.
            client().connection_pool.disconnect()
        # A program that calls a task waits less for the server than a worker that has the task's result.
        worker.app.conf.result_backend_transport_options["retry_policy"] = OUTCOMES.as_celery()
        # Steps run in no fixed order: Celery may have frozen memory already.
        freeze()
        super().__init__(worker, **kwargs)
