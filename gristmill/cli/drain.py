"""`gristmill drain`."""

import time

import click

from gristmill.cli import completing, options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import note
from gristmill.config.figures import count, duration
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value
from gristmill.fleet.registry import LiveWorker, WorkerRegistry
from gristmill.fleet.running_items import RunningItem, RunningItems
from gristmill.server.connection import client, reaching
from gristmill.server.waiting import Deadline

#: Seconds between two looks, and between two notes on what still runs.
LOOK_SECONDS, NOTE_SECONDS = 0.5, 10.0
#: Items that a note names.
ITEMS_MOST = 3

workers_argument = click.argument(
    "workers", nargs=-1, required=True, metavar="WORKER|HOST...", shell_complete=completing.workers
)


@new_command("drain")
@workers_argument
@click.option("--stop", is_flag=True, help="End the workers when they have finished; `up` does not start them again.")
@options.max_wait
@options.quiet
def command(workers: tuple[str, ...], stop: bool, max_wait: float | None) -> int:
    """Have a WORKER, or all workers of a HOST, take nothing new and finish what runs; wait until they have.

    A chunk ends at its next item, and others run the rest. A drained worker stays up, idle, until `undrain`. When
    this command ends early, by Ctrl-C or --max-wait, the workers go on draining.

    \b
    Examples:
      gristmill drain cpu@host-a
      gristmill drain host-a --stop --max-wait 2h
    """
    deadline = Deadline(max_wait)
    with reaching():
        registry = WorkerRegistry(client(), settings())
        targets = choose(registry.workers(), workers)
        for worker in targets:
            registry.drain(worker.id, stop=stop)
        _wait(registry, {worker.id: worker.name for worker in targets}, stop, deadline)
    return 0


def choose(live: list[LiveWorker], words: tuple[str, ...]) -> list[LiveWorker]:
    """The live workers that these words name: each word is a worker's name or id, or a host.

    Raises:
        InputError: a word names none.
    """
    targets: dict[str, LiveWorker] = {}
    for word in words:
        matches = [worker for worker in live if word in (worker.name, worker.id, worker.host)]
        if not matches:
            names = ", ".join(sorted({worker.name for worker in live})) or "there is none"
            raise InputError(invalid_value("WORKER", word, f"a live worker or its host: {names}"))
        targets |= {worker.id: worker for worker in matches}
    return list(targets.values())


def _wait(registry: WorkerRegistry, names: dict[str, str], stop: bool, deadline: Deadline) -> None:
    """Wait until these workers (name by id) run nothing, and say what each has come to.

    Raises:
        TimeoutError: the deadline has come; says what still runs.
    """
    running = RunningItems(client(), settings())
    waiting, note_at = dict(names), time.monotonic() + NOTE_SECONDS
    while waiting:
        # The registry keeps a worker for some seconds after its last heartbeat: one that is missing is gone.
        live = {worker.id: worker for worker in registry.workers()}
        for identity, name in list(waiting.items()):
            if text := _end_of(name, live.get(identity), stop):
                note(text)
                del waiting[identity]
        if not waiting:
            return
        left = [live[identity] for identity in waiting if identity in live]
        if deadline.over:
            raise TimeoutError(f"still draining: {_what_runs(left, running)}")
        if time.monotonic() > note_at:
            note(f"draining: {_what_runs(left, running)}")
            note_at = time.monotonic() + NOTE_SECONDS
        time.sleep(min(LOOK_SECONDS, deadline.left or LOOK_SECONDS))


def _end_of(name: str, worker: LiveWorker | None, stop: bool) -> str:
    """What to say of a worker that has drained, or is gone; empty while it drains."""
    if worker is None:
        return f"{name} has ended" if stop else f"{name} is gone: what it ran comes back, and other workers run it"
    if stop or worker.busy or not worker.draining:
        return ""
    return f"{name} is drained; `gristmill undrain {name}` takes it back"


def _what_runs(workers: list[LiveWorker], running: RunningItems) -> str:
    busy = sum(worker.busy for worker in workers)
    what = f"{', '.join(worker.name for worker in workers)} with {count(busy, 'busy slot')}"
    items = [item for item in running.look(inputs=False) if item.worker in {worker.name for worker in workers}]
    return f"{what}: {'; '.join(map(_item, items[:ITEMS_MOST]))}" if items else what


def _item(item: RunningItem) -> str:
    return f"item {item.index} of {item.batch} for {duration(item.seconds)}"
