"""Revokes on the server: for tasks that no worker has taken yet, and for workers that start later."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from celery.worker.state import revoked, revoked_stamps
from kombu.log import get_logger
from kombu.transport import virtual

from gristmill.broker.scripts import TransportScripts, as_text

#: Milliseconds for which the server keeps a revoke: a week.
REMEMBER_MILLISECONDS = 7 * 24 * 3600 * 1000
#: Most revokes that a worker reads, as many as Celery's own list has (CELERY_WORKER_REVOKES_MAX).
READ_MOST = 50_000
#: What stands between the name and the value of a stamp.
_BETWEEN = "\0"

logger = get_logger(__name__)


def remember(channel: Any, message: dict[str, Any]) -> None:
    """Store the task ids or the stamps that a message of Celery's remote control revokes, if it revokes any.

    Args:
        channel: the channel on which this process publishes the message.
        message: the message, whatever its serializer: it was written in this process.
    """
    try:
        command = virtual.Message(message, channel, accept=[message["content-type"]]).payload
        method, arguments = command["method"], command["arguments"]
        if method == "revoke":
            ids, stamps = _listed(arguments["task_id"]), []
        elif method == "revoke_by_stamped_headers":
            ids, stamps = [], list(_stamps(arguments["headers"]))
        else:
            return
    except Exception as error:
        # Whoever sends it is not the one to fail: Celery's workers tell what is wrong with a command.
        logger.warning("the server does not remember a command of remote control that cannot be read: %r", error)
        return
    channel.scripts.call("revoke", remember=REMEMBER_MILLISECONDS, ids=ids, stamps=stamps)


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple | set) else [value]


def _stamps(headers: Any) -> Iterator[str]:
    """The stamps that `revoke_by_stamped_headers` names, as a dict, or as a list of `name=value`."""
    pairs = headers.items() if isinstance(headers, dict) else (text.split("=")[:2] for text in headers)
    return chain.from_iterable((f"{name}{_BETWEEN}{value}" for value in _listed(values)) for name, values in pairs)


def read(scripts: TransportScripts) -> None:
    """Tell this worker the READ_MOST task ids, and as many stamps, that were revoked last.

    Raises:
        RedisError: the server cannot be reached, or refuses.
    """
    revoked.update(_recent(scripts, "revoked"))
    for stamp in _recent(scripts, "revoked_stamps"):
        name, _, value = stamp.partition(_BETWEEN)
        values = _listed(revoked_stamps.get(name))
        if value not in values:
            revoked_stamps[name] = [*values, value]


def _recent(scripts: TransportScripts, name: str) -> Iterable[str]:
    members: Any = scripts.client.zrange(f"{scripts.prefix}gm1:{name}", 0, READ_MOST - 1, desc=True)
    return [as_text(member) for member in members]
