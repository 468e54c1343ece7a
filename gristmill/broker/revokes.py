"""Revokes, as the server remembers them: for tasks that no worker has taken yet, and for workers that start later."""

import json
from typing import Any

from gristmill.broker.scripts import Scripts

#: Milliseconds for which a revoke is remembered: a week.
REMEMBER_MILLISECONDS = 7 * 24 * 3600 * 1000
#: As many as Celery's workers know at a time (CELERY_WORKER_REVOKES_MAX).
KNOWN_MOST = 50_000


def remember(scripts: Scripts, message: dict[str, Any]) -> None:
    """Write down the task ids that a message of Celery's remote control revokes; nothing when it does not."""
    if message.get("content-type") != "application/json" or '"revoke"' not in message["body"]:
        return
    command = json.loads(message["body"])
    if command.get("method") == "revoke":
        named = command["arguments"]["task_id"]
        ids = [named] if isinstance(named, str) else list(named or ())
        scripts.call("revoke", REMEMBER_MILLISECONDS, *ids)


def remembered(scripts: Scripts) -> list[str]:
    """The task ids that were revoked, the last of them."""
    ids: Any = scripts.client.zrange(f"{scripts.prefix}gm1:revoked", 0, KNOWN_MOST - 1, desc=True)
    return [name.decode() if isinstance(name, bytes) else name for name in ids]
