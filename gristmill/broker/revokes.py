"""Revokes on the server: for tasks that no worker has taken yet, and for workers that start later."""

import json
from typing import Any

from gristmill.broker.scripts import TransportScripts

#: Milliseconds for which the server keeps a revoke: a week.
REMEMBER_MILLISECONDS = 7 * 24 * 3600 * 1000
#: Most revokes that a worker reads, as many as Celery's own list has (CELERY_WORKER_REVOKES_MAX).
READ_MOST = 50_000


def remember(scripts: TransportScripts, message: dict[str, Any]) -> None:
    """Store the task ids that a message of Celery's remote control revokes, if it revokes any."""
    if message.get("content-type") != "application/json" or '"revoke"' not in message["body"]:
        return
    command = json.loads(message["body"])
    if command.get("method") == "revoke":
        argument = command["arguments"]["task_id"]
        ids = [argument] if isinstance(argument, str) else list(argument or ())
        scripts.call("revoke", remember=REMEMBER_MILLISECONDS, ids=ids)


def recent(scripts: TransportScripts) -> list[str]:
    """The ids of the READ_MOST tasks that were revoked last."""
    ids: Any = scripts.client.zrange(f"{scripts.prefix}gm1:revoked", 0, READ_MOST - 1, desc=True)
    return [name.decode() if isinstance(name, bytes) else name for name in ids]
