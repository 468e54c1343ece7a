"""Celery's event loop, which sleeps until something comes."""

import threading
from typing import Any


def wake(hub: Any) -> None:
    """Have the loop, if there is one, look at once whether the worker is to end; also from a signal handler.

    After a signal the loop goes on waiting. Another thread wakes it: this one may hold the lock that a call takes.
    """
    if hub:
        threading.Thread(target=hub.call_soon, args=(lambda: None,), daemon=True).start()
