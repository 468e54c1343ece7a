"""The feed of a batch: what a producer learns when it begins, and why it may not feed the batch."""

from typing import Any, NamedTuple

from gristmill.batches.shared_arguments import difference
from gristmill.config.figures import item_count
from gristmill.errors import BatchCancelled, InputError

#: Milliseconds after its last heartbeat for which a producer still owns the feeding of its batch.
PRODUCER_LEASE = 3000


class Feed(NamedTuple):
    """The state of a batch when a producer starts to feed it: how many items are stored, and their SHA-256."""

    created: bool
    stored: int
    sha: str
    input_ended: bool


class DifferentInput(InputError):
    """Raised when a batch of this name was submitted from different input."""


class AlreadyFeeding(InputError):
    """Raised when another producer is feeding the batch."""


def other_batch(batch: str, state: dict[str, str], fields: dict[str, Any]) -> DifferentInput:
    """The error about a batch that exists with another task, or with other fixed arguments, than `fields` have."""
    of_task = f"task {state['task']}, not {fields['task']}" if state["task"] != fields["task"] else ""
    sources = [str(one.get("from_batch")) for one in (state, fields)]
    of_source = f"--from-batch {sources[0]}, not {sources[1]}" if sources[0] != sources[1] else ""
    what = of_task or of_source or difference(state["fixed"], fields["fixed"])
    return DifferentInput(
        f"batch {batch!r} was submitted by {state['submitted_by']} with {what}: choose another --name"
    )


def cancelled(batch: str, state: dict[str, str]) -> BatchCancelled:
    """The error about a batch that was cancelled before all its items were stored."""
    return BatchCancelled(
        f"batch {batch!r} was cancelled while its items were submitted ({state.get('reason')}): "
        f"{item_count(int(state.get('stored', 0)), 'are')} stored, no more follow"
    )
