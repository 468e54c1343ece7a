"""The workflow of a batch as its page draws it: the batches, in columns, and the links between them."""

from typing import Any

from gristmill.batches.info import ENDED, BatchInfo, State
from gristmill.batches.ledger import Ledger
from gristmill.batches.workflow import followed_by, workflow_of

#: Batches that are drawn; the others of a larger workflow are counted.
_BOXES_MOST = 60


def chain(ledger: Ledger, name: str) -> dict[str, Any] | None:
    """The boxes and the lines of the workflow of a batch; None when it follows none and none follows it.

    `column` of a box is 0 where a batch follows none, else one more than that of the last one that it follows. `takes`
    of a line says that values become items. `may` says which actions on the whole workflow have something to do.
    """
    infos = workflow_of(ledger, name)
    if len(infos) < 2:
        return None
    columns: dict[str, int] = {}
    for info in infos:
        columns[info.name] = 1 + max((columns[other] for other in followed_by(info) if other in columns), default=-1)
    near = _near(infos, name)
    boxes = [_box(info, columns[info.name]) for info in near]
    names = {info.name for info in near}
    lines = [
        {"from": other, "to": info.name, "takes": other == info.from_batch, "ended": f"{other}:ended" in info.after}
        for info in near
        for other in sorted(followed_by(info) & names)
    ]
    return {"boxes": boxes, "lines": lines, "more": len(infos) - len(near), "may": _may(infos)}


def _may(infos: list[BatchInfo]) -> dict[str, bool]:
    live = {info.state for info in infos if info.state not in ENDED}
    return {
        "pause": bool(live - {State.PAUSED}),
        "resume": State.PAUSED in live,
        # Also what was cancelled because another one failed, and what has taken its first end.
        "retry": any(info.state in (State.FAILED, State.CANCELLED) or info.superseded for info in infos)
        or any(info.failed + info.dead for info in infos),
        "cancel": bool(live),
    }


def _near(infos: list[BatchInfo], name: str) -> list[BatchInfo]:
    """The batches around one, in their order."""
    place = next(number for number, info in enumerate(infos) if info.name == name)
    first = max(0, min(place - _BOXES_MOST // 2, len(infos) - _BOXES_MOST))
    return infos[first : first + _BOXES_MOST]


def _box(info: BatchInfo, column: int) -> dict[str, Any]:
    counts = {"done": info.done, "submitted": info.submitted, "failed": info.failed + info.dead}
    return {"name": info.name, "task": info.task, "state": str(info.state), "column": column, **counts}
