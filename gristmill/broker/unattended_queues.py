"""Messages that nobody takes: on streams without a worker, and on lists that stock senders have put in our place."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from redis import Redis
from redis.exceptions import NoPermissionError

from gristmill.broker.stock_keys import LIST_KEYS
from gristmill.config.names import unglobbed
from gristmill.config.settings import Settings
from gristmill.server.scripts import server_time


class Orphan(NamedTuple):
    """A queue with messages that no worker of ours takes; `kind` is the form of its keys: stream, list or other."""

    queue: str
    kind: str
    messages: int


def orphans(client: Redis, settings: Settings, queues: Collection[str]) -> list[Orphan]:
    """Streams without a living worker, and lists of our queues: those of `queues`, and those that have workers.

    A stock worker may still take what is on a list; `GRISTMILL_TAKE_LISTS` decides whether ours do. Where the
    server's rights forbid to look, there is nothing to tell.

    Args:
        client: a client that decodes answers.
        settings: the key prefix, the lease, and whether lists are taken.
        queues: names of queues that belong to us whether or not they have streams.

    Raises:
        RedisError: the server cannot be reached, or refuses.
    """
    try:
        streams = _streams(client, settings)
        oldest = (server_time(client, settings.prefix) - settings.lease_seconds) * 1000
        live = {each for each in {*streams, *queues} if client.zcount(settings.key(f"lease:{each}"), oldest, "+inf")}
        idle = [Orphan(queue, "stream", streams[queue]) for queue in sorted(streams.keys() - live - {*queues})]
        return idle if settings.take_lists else [*idle, *_lists(client, settings, sorted({*queues, *live}))]
    except NoPermissionError:
        return []


def _streams(client: Redis, settings: Settings) -> dict[str, int]:
    """Queue -> its messages, of all queues that have any."""
    keys = client.scan_iter(f"{unglobbed(settings.key('q:'))}*", count=1000, _type="stream")
    counts: dict[str, int] = {}
    for key in keys:
        queue = key.removeprefix(settings.key("q:")).rpartition(":")[0]
        counts[queue] = counts.get(queue, 0) + client.xlen(key)
    return {queue: count for queue, count in counts.items() if count}


def _lists(client: Redis, settings: Settings, queues: list[str]) -> Iterator[Orphan]:
    for queue in queues:
        keys = [f"{settings.prefix}{queue}{level}" for level in LIST_KEYS]
        try:
            kinds = {key: client.type(key) for key in keys}
            lengths = [client.llen(key) for key, kind in kinds.items() if kind == "list"]
        except NoPermissionError:
            continue
        if sum(lengths):
            yield Orphan(queue, "list", sum(lengths))
        if {*kinds.values()} - {"list", "none"}:
            yield Orphan(queue, "other", 0)
