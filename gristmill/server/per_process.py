"""Objects of which a process has one for each key; a forked process makes its own."""

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class PerProcess(Generic[K, V]):
    """The objects of this process, by key. Threads share it."""

    def __init__(self) -> None:
        self._objects: dict[K, V] = {}
        self._lock = threading.Lock()
        os.register_at_fork(
            before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._forget_in_child
        )

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The object of `key`; `make` makes it if this process has none yet."""
        with self._lock:
            if key not in self._objects:
                self._objects[key] = make()
            return self._objects[key]

    def all(self) -> list[V]:
        """Every object of this process. Safe to call in a signal handler."""
        return list(self._objects.values())

    def _forget_in_child(self) -> None:
        # The objects are the parent's. The garbage collector closes the child's copies of their sockets.
        self._objects.clear()
        self._lock.release()
