"""Steps that every worker of the app starts with, before its pool: guard it, limit its memory, load what it shares."""

import logging
import os
from typing import Any

from celery.bootsteps import Step
from celery.concurrency import get_implementation
from celery.signals import worker_shutdown

from gristmill.config.settings import settings, variable
from gristmill.config.start_methods import FORK, methods_of
from gristmill.errors import GristmillError, SettingError
from gristmill.fleet.worker_id import worker_id
from gristmill.local.descendants import become_subreaper, end_descendants
from gristmill.server.connection import client, other_schema, reaching
from gristmill.server.rights import BATCHES, TRANSPORT, grant, refused_commands
from gristmill.tasks.kind import Kind, kind_of
from gristmill.worker.celery_internals import ProcessPool
from gristmill.worker.limits import slot_memory
from gristmill.worker.output.capture import capture_threads
from gristmill.worker.output.output_file import new_file
from gristmill.worker.pool.equipment import pool_equipment
from gristmill.worker.pool.fresh_process import wait_for_results
from gristmill.worker.pool.processes import ItemTaskPool
from gristmill.worker.pool.start_method import check_method
from gristmill.worker.slot.chunk_task import prepare
from gristmill.worker.slot.preparation import preload
from gristmill.worker.transport_steps import refuse

log = logging.getLogger(__name__)
#: Why the pool of each kind suits its tasks.
REASONS = {
    Kind.CPU: "CPU-bound tasks in threads of one process share one core: the GIL lets one run at a time",
    Kind.IO: "I/O-bound tasks wait: a process for each would cost its memory for nothing",
}


class PoolGuard(Step):
    """Refuses to start a worker whose pool does not suit a queue that it listens to."""

    def __init__(self, worker: Any, **_: Any) -> None:
        if not settings().any_pool:
            for queue in worker.app.amqp.queues.consume_from:
                kind = kind_of(queue)
                if kind and not issubclass(worker.pool_cls, get_implementation(kind.pool)):
                    refuse(
                        f"queue {queue} needs pool {kind.pool}: {REASONS[kind]}. Start the worker with "
                        f"--pool {kind.pool}, or set {variable('any_pool')}=true to compare pools"
                    )


class Containment(Step):
    """Has what items start end with them."""

    def __init__(self, worker: Any, **_: Any) -> None:
        become_subreaper()
        has_processes = issubclass(worker.pool_cls, ProcessPool)
        try:
            check_method(worker.app.amqp.queues.consume_from, has_processes)
        except SettingError as error:
            refuse(str(error))
        if has_processes:
            worker.pool_cls = ItemTaskPool
        worker_shutdown.connect(lambda **_: end_descendants(os.getpid()), weak=False)


class Equipment(Step):
    """Limits the memory of each pool process, so that an item that needs too much fails, and not the host.

    Also tells apart what items write: in each process of a pool, or in the threads of this one.
    """

    # That step gives the worker its `max_concurrency`, and Celery's order of steps is another in each process.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: Any) -> None:
        if issubclass(worker.pool_cls, ProcessPool):
            places = worker.max_concurrency or worker.concurrency
            pool_equipment.memory = slot_memory(settings(), places)
            # One for each place in the pool: a process that takes the place of one that died finds its item's output.
            pool_equipment.files = [new_file() for _ in range(places)] if settings().log_bytes else []
        else:
            capture_threads()


class Prepare(Step):
    """Loads what every pool process needs before the first one starts, so that they share its memory."""

    def __init__(self, worker: Any, **_: Any) -> None:
        try:
            with reaching():
                prepare()
                commands = refused_commands(client(), settings().prefix, (*TRANSPORT, *BATCHES))
                queues = worker.app.amqp.queues.consume_from
                if FORK in methods_of(settings().start_method, queues):
                    preload(queues, worker_id(worker.hostname), client())
        except GristmillError as error:
            if other_schema(error):
                refuse(str(error))
        else:
            if commands:
                refuse(grant(client(), commands))
            # Each process opens connections of its own, and has none of these to free.
            pool = client().connection_pool
            pool.disconnect()
            pool.reset()
        wait_for_results(worker.app)
