"""One look at the fleet for all visitors of the same second, and what pages make of it."""

import threading
import time
from collections.abc import Callable
from math import inf
from typing import Any, TypeVar, cast

from redis import exceptions

from gristmill.fleet.overview import Overview

#: Seconds for which all visitors get what one look saw.
FRESH_SECONDS = 0.9

Value = TypeVar("Value")


class SharedLook:
    """The last look, as `look` takes one, and what was made of it. Threads share it.

    Where the server is silent, nobody waits for a second silence.
    """

    def __init__(self, look: Callable[[], Overview]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._ended, self._overview = -inf, cast(Overview, None)
        self._values: dict[str, Any] = {}
        self._silence: exceptions.RedisError | None = None

    def make(self, name: str, make: Callable[[Overview], Value]) -> Value:
        """What `make` made of the last look, if that was a moment ago, for all who ask for it by the same `name`.

        Raises:
            RedisError: the server does not answer, and whoever waited meanwhile is told so too; or it refuses.
        """
        # Whoever waits while others make a slow page gets that page.
        arrived = time.monotonic()
        with self._lock:
            is_fresh = arrived - self._ended <= FRESH_SECONDS
            if is_fresh and self._silence is not None:
                raise self._silence
            try:
                if not is_fresh:
                    self._overview, self._values, self._silence = self._look(), {}, None
                    self._ended = time.monotonic()
                if name not in self._values:
                    self._values[name] = make(self._overview)
            except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
                self._silence, self._ended = error, time.monotonic()
                raise
            return cast(Value, self._values[name])
