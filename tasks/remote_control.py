"""Celery's remote control with our error; a module of its own, because few processes send a command to workers."""

from typing import Any

from celery.app.control import Control
from kombu.pidbox import Mailbox

from gristmill.tasks.server_errors import one_line


class OwnMailbox(Mailbox):
    """Celery's mailbox, which sends over the connection by which it reads, and takes no second one from a pool."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "producer_pool": None})


class RemoteControl(Control):
    """Celery's remote control; it raises ServerError when the server cannot be reached."""

    Mailbox = OwnMailbox

    def broadcast(self, *args: Any, **kwargs: Any) -> Any:
        """Send a command to workers; `inspect`, `revoke` and all others end here."""
        with one_line():
            if not kwargs.get("reply") or kwargs.get("connection") or kwargs.get("channel"):
                return super().broadcast(*args, **kwargs)
            # Waiting takes a second. Celery's pool would keep three connections for each thread that has waited.
            with self.app.connection_for_write() as connection:
                return super().broadcast(*args, **{**kwargs, "connection": connection})
