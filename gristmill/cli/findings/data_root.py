"""What `gristmill doctor` says of the data root, and of the hosts that share it."""

import os
from collections.abc import Iterator
from pathlib import Path

from redis import Redis

from gristmill.batches.shared_root import SharedRoot
from gristmill.cli.findings.finding import Finding
from gristmill.config.settings import settings, variable
from gristmill.fleet.registry import LiveWorker
from gristmill.server.home import Home

_CHECK = "data root"


def data_root() -> Finding:
    """The data root of the fleet in this home; workers of other homes have their own."""
    running = None if settings().redis_url else Home(settings().home).running()
    path = (running and running.data_root) or settings().data_root
    if path is None:
        return Finding(_CHECK, "the directory in which `gristmill up` or `gristmill run` starts")
    readable = Path(path).is_dir() and os.access(path, os.R_OK | os.X_OK)
    advice = "" if readable else f"make it a directory that can be read, or set {variable('data_root')} to one"
    return Finding(_CHECK, str(path), advice)


def shared_root(server: Redis, workers: list[LiveWorker]) -> Iterator[Finding]:
    """Whether the hosts that declare a shared data root see one, and whether all of them declare it."""
    declaring = [worker for worker in workers if worker.shared_root]
    mark = SharedRoot(server, settings()).mark()
    if settings().shared_data_root and mark is not None:
        yield _here(SharedRoot(server, settings()), mark)
    missing = sorted(worker.name for worker in declaring if worker.shared_root == "missing")
    if missing:
        advice = (
            f"their {variable('data_root')} is to be the directory that all hosts see, with the file {_name(mark)}; "
            "until then values over 1 MiB fail there"
        )
        yield Finding(_CHECK, f"not the shared one on {', '.join(missing)}", advice)
    silent = sorted(worker.name for worker in workers if not worker.shared_root) if declaring else []
    if silent:
        advice = f"set {variable('shared_data_root')}=true there too, or nowhere: values over 1 MiB fail there"
        yield Finding(_CHECK, f"not declared as shared on {', '.join(silent)}", advice)


def _here(root: SharedRoot, mark: str) -> Finding:
    if root.is_seen(mark):
        return Finding(_CHECK, f"shared: {mark} is there")
    advice = (
        f"set {variable('data_root')} to the directory that all hosts see, or mount it there: values over 1 MiB are "
        f"below it. If its content was moved without {_name(mark)}, make that file again"
    )
    return Finding(_CHECK, f"not the shared one: no {mark}", advice)


def _name(mark: str | None) -> str:
    """The path of the file below the data root."""
    return "/".join((mark or "").rsplit("/", 2)[-2:])
