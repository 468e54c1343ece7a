"""The info of a batch, where a test needs some of its fields only."""

from gristmill.batches.info import BatchInfo, State


def batch_info(name: str, *, succeeded: int = 0, left: int = 0, task: str = "t", **fields: object) -> BatchInfo:
    """A running batch of the queue cpu."""
    counts = dict.fromkeys(("failed", "cancelled", "dead", "duplicates", "rejected"), 0)
    values: dict[str, object] = {
        **counts,
        "state": State.RUNNING,
        "submitted": succeeded + left,
        "submitted_by": "me",
        "created": 0.0,
        "queue": "cpu",
        "finished": None,
        "reason": None,
        **fields,
    }
    return BatchInfo(name=name, task=task, succeeded=succeeded, left=left, **values)  # type: ignore[arg-type]
