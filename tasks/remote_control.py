"""Celery's remote control with our error; a module of its own, because few processes send a command to workers."""

from typing import Any

from celery.app.control import Control

from gristmill.tasks.server_errors import one_line


class RemoteControl(Control):
    """Celery's remote control; it raises ServerError when the server cannot be reached."""

    def broadcast(self, *args: Any, **kwargs: Any) -> Any:
        """Send a command to workers; `inspect`, `revoke` and all others end here."""
        with one_line():
            return super().broadcast(*args, **kwargs)
