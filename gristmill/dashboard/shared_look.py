"""One look at the fleet for all visitors of the same second, and what pages make of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeVar, cast

from redis import exceptions

from gristmill.fleet.overview import Overview

#: Seconds for which all visitors get what one look saw.
FRESH_SECONDS = 0.9
#: What everybody is told who asks in the same second; a refusal is of one page.
_SILENCE = (exceptions.ConnectionError, exceptions.TimeoutError)

Value = TypeVar("Value")


@dataclass(slots=True)
class _PageValue:
    """What was made for one page, of the look that ended at `ended`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: float = -inf
    value: Any = None


class SharedLook:
    """The last look, as `look` takes one, and what was made of it. Threads share it.

    Where the server is silent, nobody waits for a second silence. Whoever asks for a page waits for no other one that
    is being made.
    """

    def __init__(self, look: Callable[[], Overview]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._ended, self._overview = -inf, cast(Overview, None)
        self._silence: exceptions.RedisError | None = None
        self._pages: dict[str, _PageValue] = {}

    def make(self, name: str, make: Callable[[Overview], Value]) -> Value:
        """What `make` made of the last look, if that was a moment ago, for all who ask for it by the same `name`.

        Raises:
            RedisError: the server does not answer, and whoever waited meanwhile is told so too; or it refuses.
        """
        # Whoever waits while others make a slow page gets that page.
        arrived = time.monotonic()
        page = self._pages.setdefault(name, _PageValue())
        with page.lock:
            if not _is_fresh(page.ended, arrived):
                ended, overview = self._last_look(arrived)
                try:
                    page.value = make(overview)
                except _SILENCE as error:
                    self._silence, self._ended = error, time.monotonic()
                    raise
                page.ended = ended
            return cast(Value, page.value)

    def _last_look(self, arrived: float) -> tuple[float, Overview]:
        """When the last look ended, and what it saw; it is taken anew for whoever has `arrived` too late for it."""
        with self._lock:
            if not _is_fresh(self._ended, arrived):
                try:
                    self._overview, self._silence = self._look(), None
                except _SILENCE as error:
                    self._silence = error
                self._ended = time.monotonic()
            if self._silence is not None:
                raise self._silence
            return self._ended, self._overview


def _is_fresh(ended: float, arrived: float) -> bool:
    """Whether a look that ended at `ended` will do for whoever arrived at `arrived`."""
    return arrived - ended <= FRESH_SECONDS
