"""kombu's messages, as entries of a stream carry them."""

import json
from datetime import UTC, datetime
from typing import Any

from kombu.utils.json import dumps


def encoded(message: dict[str, Any]) -> str:
    """A message as an entry carries it."""
    try:
        return json.dumps(message, separators=(",", ":"))
    except TypeError:
        return str(dumps(message))


def seconds_until_due(message: dict[str, Any]) -> float:
    """Take the time that a task waits for out of its message's `eta`; answers the seconds until then.

    With an `eta` Celery's worker would hold the message, and room for one more: it goes into `gm_eta`.
    """
    headers = message.get("headers")
    eta = headers.get("eta") if isinstance(headers, dict) else None
    if not headers or not eta:
        return 0.0
    due = datetime.fromisoformat(eta) if isinstance(eta, str) else eta
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    headers["eta"], headers["gm_eta"] = None, due.isoformat()
    return float((due - datetime.now(UTC)).total_seconds())
