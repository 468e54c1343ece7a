"""The data of the page Busy: the items that run now."""

import json
from typing import Any

from gristmill.fleet.overview import Observer
from gristmill.fleet.running_items import RunningItem

#: Items on the page, the slowest ones; characters of an input.
ITEMS_MOST, INPUT = 200, 200


def data(observer: Observer) -> dict[str, Any]:
    """The slowest items that run, and the number of all that are told."""
    items = observer.running_items.look(most=ITEMS_MOST)
    return {"total": len(items), "items": [row(item) for item in items[:ITEMS_MOST]]}


def row(item: RunningItem) -> dict[str, Any]:
    """An item as the page has it; `share` of it is done (0 to 1), None when nobody tells."""
    text = json.dumps(item.input, ensure_ascii=False)
    progress = item.progress
    share = progress.done / progress.total if progress and progress.total else None
    return {
        "batch": item.batch,
        "index": item.index,
        "input": text[:INPUT] + ("…" if len(text) > INPUT else ""),
        "started": item.started,
        "seconds": item.seconds,
        "attempt": item.attempt,
        "progress": progress and str(progress),
        "share": None if share is None else min(1.0, max(0.0, share)),
        "worker": item.worker,
        "pid": item.pid,
    }
