"""Celery's remote control, whose revokes also reach tasks that wait for their time in the server."""

from typing import Any

from celery.app import control

#: Milliseconds for which a revoke is remembered: a week.
REMEMBER_MILLISECONDS = 7 * 24 * 3600 * 1000


class Control(control.Control):
    """Remote control; `revoke` is also written down."""

    def revoke(self, task_id: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell workers not to run the tasks with these ids, now and when they come due."""
        ids = [task_id] if isinstance(task_id, str) else list(task_id)
        with self.app.connection_for_write() as connection:
            connection.default_channel.scripts.call("revoke", REMEMBER_MILLISECONDS, *ids)
        return super().revoke(task_id, *args, **kwargs)
