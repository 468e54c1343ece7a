"""The errors of a batch's failed and dead items, equal ones together."""

import re
from itertools import islice
from typing import Any

from gristmill.batches.reader import ResultReader
from gristmill.fleet.overview import Observer

#: Failed items that are looked at, groups that are told, characters of a message.
ITEMS_MOST, GROUPS_MOST, MESSAGE = 2_000, 20, 300
#: What differs between messages of one error: what stands in quotes, and numbers.
_VARYING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|0x[0-9a-fA-F]+|\d+(?:\.\d+)?")


def error_groups(observer: Observer, name: str) -> dict[str, Any]:
    """The errors of the first failed and dead items of a batch, by type and message, the most frequent first.

    Messages are equal that differ in numbers and in quoted words only. Each group has the index and the message of
    its first item; `counted` is the number of items that were looked at.
    """
    reader = ResultReader(observer.client, observer.settings, name)
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    counted = 0
    for result in islice(reader.failed(0), ITEMS_MOST):
        counted += 1
        error = result.error or {}
        kind, message = error.get("type", ""), error.get("message", "")
        new = {"type": kind, "message": message[:MESSAGE], "first": result.index, "items": 0}
        groups.setdefault((kind, _VARYING.sub("…", message)), new)["items"] += 1
    most = sorted(groups.values(), key=lambda group: (-group["items"], group["first"]))
    return {"counted": counted, "number": len(most), "groups": most[:GROUPS_MOST]}
