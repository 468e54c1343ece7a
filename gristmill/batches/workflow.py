"""A workflow: the batches that follow one another, by `after` or by `from_batch`."""

from collections.abc import Iterable
from typing import cast

from redis import Redis

from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger


def workflow_of(ledger: Ledger, batch: str) -> list[BatchInfo]:
    """The counters of a batch, of those that it follows, of those that follow it, and so on; the oldest first.

    No batch follows a younger one. Empty where there is no such batch. It costs what the workflow has, and not what
    stands on the server.
    """
    infos: dict[str, BatchInfo] = {}
    names = {batch}
    while names:
        latest = ledger.infos(sorted(names))
        infos |= {info.name: info for info in latest}
        names = _neighbours(ledger, latest) - infos.keys()
    return sorted(infos.values(), key=lambda info: (info.created, info.name))


def _neighbours(ledger: Ledger, infos: Iterable[BatchInfo]) -> set[str]:
    """The batches that these follow, and those that follow them."""
    names: set[str] = set()
    with ledger.client.pipeline(transaction=False) as pipe:
        for info in infos:
            names |= followed_by(info)
            for part in ("dependents", "takers"):
                cast(Redis, pipe).hgetall(ledger.key(info.name, part))
        followers = cast(list[dict[str, str]], pipe.execute())
    # Of one that was deleted, and submitted anew, an entry stays here for a while.
    created = {name: entry.partition(":")[0] for entries in followers for name, entry in entries.items()}
    present = ledger.infos(sorted(created))
    return names | {info.name for info in present if round(1000 * info.created) == int(created[info.name])}


def followed_by(info: BatchInfo) -> set[str]:
    """The names of the batches that a batch follows."""
    names = {condition.partition(":")[0] for condition in info.after}
    return names | {info.from_batch} if info.from_batch else names
