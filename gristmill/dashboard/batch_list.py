"""The data of the page Batches: a page of those that a query selects, in its order."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.batches.info_cache import InfoCache
from gristmill.batches.schedules import Schedules
from gristmill.batches.selection import Selection, checked_states
from gristmill.batches.workflow import workflow_of
from gristmill.dashboard.batches import row
from gristmill.errors import InputError, invalid_value
from gristmill.fleet.overview import Observer

#: Batches on a page.
PAGE = 50
#: Schedules on a page, the oldest ones.
SCHEDULES_MOST = 100
#: The orders of the list.
ORDERS: Mapping[str, Callable[[BatchInfo], Any]] = {
    "name": lambda info: info.name,
    "created": lambda info: info.created,
    "state": lambda info: info.state,
    "task": lambda info: info.task,
    "failed": lambda info: info.failed + info.dead,
    "left": lambda info: info.left,
    "submitted": lambda info: info.submitted,
    "submitted_by": lambda info: info.submitted_by,
}
#: The orders in words, downwards and upwards, as a menu has them.
_WORDS = {
    "created": ("newest first", "oldest first"),
    "left": ("most items left", "fewest items left"),
    "failed": ("most failures", "fewest failures"),
    "submitted": ("most items", "fewest items"),
    "name": ("name, Z to A", "name, A to Z"),
    "task": ("task, Z to A", "task, A to Z"),
    "state": ("state, Z to A", "state, A to Z"),
    "submitted_by": ("submitted by, Z to A", "submitted by, A to Z"),
}
SORTS = [(sign + order, word) for order, words in _WORDS.items() for sign, word in zip(("-", ""), words, strict=True)]


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """What the page shows: `selection`, sorted by `order`, from the batch `first` (0 is the first one) on.

    With `workflow`, the name of a batch, it is a part of that batch's workflow.
    """

    selection: Selection
    order: str = "created"
    ascending: bool = False
    first: int = 0
    workflow: str = ""

    @classmethod
    def of(cls, arguments: Mapping[str, list[str]]) -> "BatchQuery":
        """The query in the arguments of an address: state, task, label (key=value), submitted_by, text, workflow,
        sort, page.

        Raises:
            InputError: one of them is not valid.
        """
        words = {name: values[-1].strip() for name, values in arguments.items()}
        states = [state for value in arguments.get("state", []) for state in value.split(",") if state]
        sort = words.get("sort", "-created")
        order = sort.removeprefix("-")
        if order not in ORDERS:
            raise InputError(invalid_value("sort", sort, f"{', '.join(ORDERS)}, or one of these behind a '-'"))
        page = words.get("page") or "1"
        if not (page.isascii() and page.isdigit() and 0 < len(page) < 8 and int(page)):
            raise InputError(invalid_value("page", page, "a number from 1 to 9,999,999"))
        selection = Selection(
            states=checked_states(",".join(states)) if states else frozenset(),
            task=words.get("task", ""),
            labels=dict(_label(text) for text in arguments.get("label", []) if text),
            submitted_by=words.get("submitted_by", ""),
            text=words.get("text", ""),
        )
        return cls(selection, order, not sort.startswith("-"), PAGE * (int(page) - 1), words.get("workflow", ""))


def _label(text: str) -> tuple[str, str]:
    key, sign, value = text.strip().partition("=")
    if not (key and sign and value):
        raise InputError(invalid_value("label", text, "KEY=VALUE such as team=maps"))
    return key, value


class BatchList:
    """The list of batches for all visitors; threads share it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        # Apart from the observer's: the first search reads every batch, and no look waits for that.
        self._infos = InfoCache(observer.client, observer.settings)

    def page(self, query: BatchQuery) -> dict[str, Any]:
        """The batches of a page, how many are selected and how many there are, their tasks, and the schedules."""
        observer = self._observer
        names = self._names()
        if query.selection or query.workflow or query.order != "created":
            every = workflow_of(observer.ledger, query.workflow) if query.workflow else self._infos.infos(names)
            infos = [info for info in every if query.selection.has(info)]
            infos.sort(key=ORDERS[query.order], reverse=not query.ascending)
            selected, infos_of_page = len(infos), infos[query.first : query.first + PAGE]
        else:
            in_order = names[::-1] if query.ascending else names
            selected, infos_of_page = len(names), self._infos.infos(in_order[query.first : query.first + PAGE])
        at = observer.meters.now()
        going_on = [info for info in infos_of_page if info.state not in ENDED]
        outlooks = observer.outlooks.of(going_on)
        meters = observer.meters.batches([info.name for info in going_on]).answer(observer.client)
        return {
            "at": at,
            "total": len(names),
            "selected": selected,
            "first": query.first,
            "page": PAGE,
            "batches": [row(info, at, outlooks.get(info.name), meters.get(info.name)) for info in infos_of_page],
            "tasks": sorted({info.task for info in infos_of_page} | self._infos.tasks() | observer.batches.tasks()),
            "schedules": self._schedules(),
        }

    def _names(self) -> list[str]:
        """The names of all batches, the newest first; also forgets those whose time is over, if the user may."""
        observer = self._observer
        if observer.may_write:
            return observer.ledger.names()[::-1]
        return cast(list[str], observer.client.zrevrange(observer.settings.key("batches"), 0, -1))

    def _schedules(self) -> list[dict[str, Any]]:
        schedules = Schedules(self._observer.client, self._observer.settings)
        return [asdict(info) for info in schedules.infos()[:SCHEDULES_MOST]]
