"""The names that a shell completes: of tasks, and of batches when a server is near."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

from gristmill.config.names import DASHBOARD, KINDS

if TYPE_CHECKING:
    from redis import Redis

#: Seconds that a server gets to answer: a person waits for the Tab key.
SECONDS = 1.0


def tasks(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """The names of this host's tasks."""
    # A module that cannot be imported, or a setting that is wrong, must not print into the command line.
    with suppress(Exception):
        from gristmill.tasks import catalog

        return [name for name in catalog.load() if name.startswith(incomplete)]
    return []


def topics(ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """What `help` explains: commands, and `parallel`."""
    root = ctx.find_root()
    return [name for name in ("parallel", *root.command.list_commands(root)) if name.startswith(incomplete)]


def parts(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """The parts of a fleet: the dashboard, and the queues of this host's tasks."""
    names = {*KINDS, DASHBOARD}
    with suppress(Exception):
        from gristmill.tasks import catalog

        names |= {task.queue_name for task in catalog.load().values()}
    return [name for name in sorted(names) if name.startswith(incomplete)]


def batches(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """The names of the batches on the server, if it answers at once."""
    return _from_server(_read_batches, incomplete)


def workers(_ctx: Any, _param: Any, incomplete: str) -> list[str]:
    """The live workers and their hosts, if the server answers at once."""
    return _from_server(_read_workers, incomplete)


def _from_server(read: Callable[["Redis"], Iterable[str]], incomplete: str) -> list[str]:
    names: list[str] = []

    def collect() -> None:
        with suppress(Exception):
            from gristmill.server.connection import connect
            from gristmill.server.waiting import ONCE

            with connect(policy=ONCE) as client:
                names.extend(read(client))

    # A connection waits longer for a server that is away.
    reader = Thread(target=collect, daemon=True)
    reader.start()
    reader.join(SECONDS)
    return [name for name in list(names) if name.startswith(incomplete)]


def _read_batches(client: "Redis") -> Iterable[str]:
    from gristmill.batches.ledger import Ledger
    from gristmill.config.settings import settings

    return Ledger(client, settings()).names()


def _read_workers(client: "Redis") -> Iterable[str]:
    from gristmill.config.settings import settings
    from gristmill.fleet.registry import WorkerRegistry

    live = WorkerRegistry(client, settings()).workers()
    return sorted({worker.name for worker in live} | {worker.host for worker in live})
