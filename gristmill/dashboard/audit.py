"""The data of the page Audit: who did what."""

from dataclasses import asdict
from typing import Any

from gristmill.batches.audit import latest
from gristmill.fleet.overview import Observer

#: Entries on the page, the newest ones.
ENTRIES_MOST = 200


def data(observer: Observer) -> dict[str, Any]:
    """The last actions, the newest first; `more` says that there may be older ones."""
    entries = latest(observer.client, observer.settings, ENTRIES_MOST)
    return {"more": len(entries) == ENTRIES_MOST, "entries": [asdict(entry) for entry in entries]}
