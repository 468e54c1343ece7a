"""Celery's event loop, which sleeps until a message comes, seen from elsewhere in the process."""

import threading

from kombu.asynchronous import get_event_loop


def wake() -> None:
    """Have the loop, if there is one, look at once whether the worker is to end. Safe in a signal handler.

    After a signal the loop goes on waiting. What another thread adds wakes it.
    """
    if hub := get_event_loop():
        threading.Thread(target=hub.call_soon, args=(lambda: None,), daemon=True).start()
