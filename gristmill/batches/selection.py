"""Which batches a list shows: by state, task, label, who submitted them, and text."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gristmill.batches.info import BatchInfo, State
from gristmill.errors import InputError, invalid_value


def checked_states(text: str) -> frozenset[str]:
    """The states of batches in text such as `open,running`.

    Raises:
        InputError: one is none.
    """
    states = frozenset(text.split(","))
    if not states <= {str(state) for state in State}:
        raise InputError(invalid_value("state", text, f"some of {', '.join(State)}, with commas between them"))
    return states


@dataclass(frozen=True, slots=True)
class Selection:
    """What a batch has to have to be listed; what is empty selects nothing.

    `states` has the batch's state, `task` is its task, and it has all of `labels`. `submitted_by` is a part of who
    submitted it, `text` one of its name, its task, a label, or the reason why it was cancelled; both in either case
    of letters.
    """

    states: Collection[str] = frozenset()
    task: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    submitted_by: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.states or self.task or self.labels or self.submitted_by or self.text)

    def has(self, info: BatchInfo) -> bool:
        """Whether the list shows this batch."""
        return (
            (not self.states or str(info.state) in self.states)
            and (not self.task or info.task == self.task)
            and self.labels.items() <= info.labels.items()
            and self.submitted_by.casefold() in info.submitted_by.casefold()
            and (not self.text or self.text.casefold() in _words(info))
        )


def _words(info: BatchInfo) -> str:
    labels = " ".join(f"{key}={value}" for key, value in info.labels.items())
    return f"{info.name} {info.task} {labels} {info.reason or ''}".casefold()
