"""The batches that a batch follows: for whose end it waits (`after`), and whose values are its items (`from_batch`)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias

from gristmill.config.names import checked_name
from gristmill.errors import InputError, invalid_value
from gristmill.producer.item_states import ITEM_STATES, item_states


class NamedBatch(Protocol):
    """A batch of this package: `gristmill.Batch`, or that of `gristmill.aio`."""

    @property
    def name(self) -> str:
        """The batch's name."""


#: A batch or its name, alone or with a word: `succeeded` (all its items), or `ended`, however they ended.
Condition: TypeAlias = NamedBatch | str | tuple[NamedBatch | str, str]
After: TypeAlias = Condition | Iterable[Condition]
#: What the end of a batch has to be like.
WORDS = ("succeeded", "ended")
_EXPECTED = "a batch, or a batch and the word ended, such as pages:ended"


def checked_after(after: After | None) -> tuple[str, ...]:
    """The conditions as the ledger has them, `pages` or `pages:ended`, each batch once.

    Raises:
        InputError: one of them is neither a batch nor the name of one, or has another word.
    """
    if after is None:
        return ()
    conditions: dict[str, str] = {}
    several: Any = after if _is_several(after) else (after,)
    for condition in several:
        name, word = _condition(condition)
        if conditions.get(name) != "succeeded":
            conditions[name] = word
    return tuple(name if word == "succeeded" else f"{name}:{word}" for name, word in conditions.items())


def name_of(batch: object) -> str | None:
    """The name of a batch, or text; None for anything else."""
    # The classes themselves stand above this module.
    name = batch if isinstance(batch, str) else getattr(batch, "name", None)
    return name if isinstance(name, str) else None


def _is_several(after: Any) -> bool:
    if name_of(after) is not None or not isinstance(after, Iterable):
        return False
    return not (isinstance(after, tuple) and len(after) == len(WORDS) and after[1] in WORDS)


def _condition(condition: Any) -> tuple[str, str]:
    batch, word = condition, "succeeded"
    if isinstance(condition, tuple) and len(condition) == len(WORDS):
        batch, word = condition
    elif isinstance(condition, str) and ":" in condition:
        batch, _, word = condition.partition(":")
    name = name_of(batch)
    if name is None or word not in WORDS:
        raise InputError(invalid_value("after", condition, _EXPECTED))
    return checked_name(name, "after"), word


@dataclass(frozen=True, slots=True)
class BatchSource:
    """The batch whose values are the items of another one: of its items in `states`, each element of a list by itself
    with `flatten`.
    """

    batch: str
    states: tuple[str, ...] = ("succeeded",)
    flatten: bool = False

    @classmethod
    def of(cls, batch: str | None, state: str | Iterable[str] | None, *, flatten: bool) -> Self | None:
        """The source called `batch`; None where there is none.

        Raises:
            InputError: a value is not valid, or goes with a source only.
        """
        if batch is None:
            if state is not None or flatten:
                name, value = ("state", state) if state is not None else ("flatten", flatten)
                raise InputError(invalid_value(name, value, "only where another batch gives the items"))
            return None
        states = item_states(state) or {"succeeded"}
        if "cancelled" in states:
            raise InputError(invalid_value("state", state, "one or more of succeeded, failed, dead: no other has run"))
        return cls(checked_name(batch, "from_batch"), tuple(word for word in ITEM_STATES if word in states), flatten)

    def fields(self) -> dict[str, Any]:
        """As the batch's state has them."""
        fields: dict[str, Any] = {"from_batch": self.batch, "from_states": ",".join(self.states)}
        return {**fields, "flatten": 1} if self.flatten else fields
