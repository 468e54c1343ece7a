"""The names that a shell completes: of tasks, and of batches when a server is near."""

from contextlib import suppress
from threading import Thread
from typing import Any

from gristmill.config.names import DASHBOARD, KINDS

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
    names: list[str] = []
    # A connection waits longer for a server that is away.
    reader = Thread(target=_read_batches, args=(names,), daemon=True)
    reader.start()
    reader.join(SECONDS)
    return [name for name in list(names) if name.startswith(incomplete)]


def _read_batches(names: list[str]) -> None:
    with suppress(Exception):
        from gristmill.batches.ledger import Ledger
        from gristmill.config import settings
        from gristmill.server.connection import connect
        from gristmill.server.waiting import ONCE

        with connect(policy=ONCE) as client:
            names += Ledger(client, settings()).names()
