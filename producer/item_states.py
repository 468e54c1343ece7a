"""The states of an item that has an outcome, as an option selects them."""

from collections.abc import Iterable

from gristmill.errors import InputError, invalid_value

ITEM_STATES = ("succeeded", "failed", "dead", "cancelled")


def item_states(state: str | Iterable[str] | None) -> frozenset[str]:
    """The states that `state` names: one, several with commas between them, or a collection; None: no selection.

    Raises:
        InputError: one of them is no state of an item.
    """
    if state is None:
        return frozenset()
    words = [word.strip() for word in state.split(",")] if isinstance(state, str) else list(state)
    if not words or not set(words) <= set(ITEM_STATES):
        raise InputError(invalid_value("state", state, f"one or more of {', '.join(ITEM_STATES)}"))
    return frozenset(words)


def result_states(state: str | Iterable[str] | None, follow: bool, consume: bool) -> frozenset[str]:
    """The states of the results to read; empty: all.

    Raises:
        InputError: there is no such state, or the three exclude each other.
    """
    states = item_states(state)
    if consume and (states or not follow):
        raise InputError("consume=True takes neither a state nor follow=False")
    return states
