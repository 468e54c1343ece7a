"""A task of ours that does nothing, for workers of a benchmark."""

from gristmill.tasks.kinds import cpu


@cpu
def noop(number: int) -> None:
    """Nothing at all."""
