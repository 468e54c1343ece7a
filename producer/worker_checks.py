"""What a producer should know about the workers before it waits for them."""

from typing import TYPE_CHECKING

from gristmill.batches.info import ENDED, BatchInfo, State
from gristmill.config.names import PROGRAM, worker_word
from gristmill.config.resources import Resources
from gristmill.config.settings import settings, variable
from gristmill.config.task_modules import task_modules
from gristmill.errors import InputError, SettingError, invalid_value
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.fleet.setup_failures import setup_failures
from gristmill.server.connection import client

if TYPE_CHECKING:
    # Only for types: Celery takes longer to load than most commands take to run.
    from gristmill.tasks.remote import SubmittableTask

#: Modules that a warning names, at most.
_NAMES = 3


def live_workers() -> list[LiveWorker]:
    """The live workers, by name."""
    return WorkerRegistry(client(), settings()).workers()


def check_workers(
    task: "SubmittableTask", queue: str | None = None, resources: Resources | None = None, *, final: bool = False
) -> list[str]:
    """Warnings about the workers on `queue` (default: the task's) for a batch of `task`.

    There is none when all is well, or when no worker listens to the queue. `final` says that no other worker will.

    Raises:
        InputError: workers listen to the queue, and none of them knows the task, or all have a pool for the other kind;
            or the workers are `final`, and none of them has what an item takes.
    """
    queue = queue or task.queue_name
    on_queue = [worker for worker in live_workers() if worker.queue == queue]
    if not on_queue:
        return []
    if not settings().any_pool and {worker.pool for worker in on_queue} == {task.kind.other.pool}:
        raise InputError(other_kind(task, queue))
    able = [worker for worker in on_queue if task.name in worker.tasks]
    if not able and task.name == PROGRAM:
        raise InputError(
            f"no worker on queue {queue} runs programs: {variable('commands')}=any on a worker allows them, for "
            "everybody who may submit below its GRISTMILL_PREFIX"
        )
    if not able:
        raise InputError(
            f"no worker on queue {queue} knows task {task.name!r}: restart {_names(on_queue)}{_with_module(task)}"
        )
    warnings = []
    unable = [worker for worker in on_queue if worker not in able]
    if unable:
        warnings.append(f"{_names(unable)} cannot run task {task.name!r}: its module is not among their task modules")
    failures = [str(failure) for failure in setup_failures(able) if failure.task == task.name]
    needs = resources or task.resources
    if needs != Resources() and not any(
        worker.slots >= needs.slots and worker.memory_limit >= needs.memory for worker in able
    ):
        lack = f"no worker on queue {queue} has {needs}, which an item takes"
        if final and able:
            most = " or ".join(str(Resources(worker.slots, worker.memory_limit)) for worker in able)
            raise InputError(f"{lack} (expected at most {most})")
        warnings.append(f"{lack}: the items wait for one that has")
    return warnings + failures + other_version(task, able)


def unlimited(task: "SubmittableTask", time_limit: float | None) -> list[str]:
    """A warning that the time limit of a batch ends none of its items; none when it does, or there is none."""
    if not time_limit or task.is_async or str(task.kind) != "io":
        return []
    return [
        f"time_limit={time_limit:g} ends no item of task {task.name!r}: its items run in threads, which cannot be ended"
    ]


def _with_module(task: "SubmittableTask") -> str:
    """What workers need beside a restart to know a task: nothing on this host when its module is named already."""
    own = getattr(getattr(task, "run", None), "__module__", "")
    for module, source in task_modules(settings()):
        if source != "shipped" and (own == module or own.startswith(f"{module}.")):
            return f"; {source} names its module already, so on this host a restart is enough"
    return " with its module in GRISTMILL_TASK_MODULES or in the project's pyproject.toml"


def other_version(task: "SubmittableTask", workers: list[LiveWorker]) -> list[str]:
    """A warning that names those of the workers that have another version of `task`; none when none has."""
    other = [worker for worker in workers if worker.tasks.get(task.name, task.fingerprint) != task.fingerprint]
    if not other:
        return []
    warning = (
        f"{_names(other)} will run another version of task {task.name!r} ({_difference(task, other)}): "
        "restart the workers (`gristmill up`) once they have the code of this host"
    )
    return [warning]


def check_code(info: BatchInfo) -> list[str]:
    """Warnings about the workers that are to run a batch again; none when this process does not have its task.

    Raises:
        InputError: workers listen to the batch's queue, and none of them knows its task.
    """
    # Loaded when the check needs it: the task's code here is compared with the workers', and Celery comes with it.
    from gristmill.tasks import catalog

    try:
        task = catalog.defined(info.task)
    except SettingError as error:
        # The batch goes on all the same: its code is on the workers.
        return [str(error)]
    return check_workers(task, info.queue) if task is not None else []


def to_run(info: BatchInfo) -> bool:
    """Whether a batch has items that workers may run, now or after a retry."""
    return info.state not in ENDED - {State.FAILED, State.CANCELLED}


def _difference(task: "SubmittableTask", workers: list[LiveWorker]) -> str:
    registry = WorkerRegistry(client(), settings())
    announcements = [registry.announcements(worker.id).get(task.name) for worker in workers]
    names = {name for one in announcements if one for name in differing_modules(task.modules, one.modules)}
    return modules_differ(names) if names else "different code"


def modules_differ(names: set[str]) -> str:
    """The words that modules differ: `module jobs differs`."""
    return f"module {listed(names)} differs" if len(names) == 1 else f"modules {listed(names)} differ"


def differing_modules(modules: dict[str, str], others: dict[str, str]) -> set[str]:
    """The modules whose hash differs, or that only one side has."""
    return {name for name in {*modules, *others} if modules.get(name) != others.get(name)}


def listed(names: set[str]) -> str:
    """Some names, the first three of them in full."""
    first = ", ".join(sorted(names)[:_NAMES])
    return f"{first} and {len(names) - _NAMES} more" if len(names) > _NAMES else first


def other_kind(task: "SubmittableTask", queue: str) -> str:
    """The words of an error about a queue whose workers have a pool for tasks of the other kind."""
    expected = f"a queue of @{task.kind} tasks, or {variable('any_pool')}=true to compare pools"
    return invalid_value(f"queue of task {task.name!r}", queue, expected)


def no_worker(queue: str, kind: str) -> str:
    """The warning that nobody listens to a queue with tasks of a kind (empty where nobody knows it)."""
    return (
        f"no worker listens to queue {queue}: the items wait. Start one with `gristmill up {worker_word(queue, kind)}`"
    )


def _names(workers: list[LiveWorker]) -> str:
    return ", ".join(worker.name for worker in workers)
