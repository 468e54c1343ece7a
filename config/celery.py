"""Celery's configuration, built from the settings."""

from typing import Any

from gristmill.config.settings import Settings
from gristmill.config.task_modules import task_modules

#: The module of the task that runs chunks.
RUNNER = "gristmill.worker.slot.chunk_task"


def secured(url: str) -> str:
    """The URL of a result backend, with the check of certificates spelled out: Celery refuses a bare `rediss://`."""
    if url.startswith("rediss://") and "ssl_cert_reqs" not in url:
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=CERT_REQUIRED"
    return url


def celery_config(settings: Settings, url: str | None) -> dict[str, Any]:
    """Celery's configuration with results at `url`, in Celery's spelling: JSON only, acknowledged after the work."""
    prefix = {"global_keyprefix": settings.prefix}
    lists = {"stock_queues": settings.stock_queues, "take_lists": settings.take_lists}
    return {
        "result_backend": url and secured(url),
        "broker_transport_options": {**prefix, **lists},
        "result_backend_transport_options": prefix,
        "broker_connection_retry_on_startup": True,
        # Of our own: other apps on the server, as `celery control shutdown` of theirs, do not reach our workers.
        "control_exchange": "gristmill",
        "event_exchange": "gristmillev",
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "result_expires": 7 * 24 * 3600,
        "imports": (*(module.name for module in task_modules(settings)), RUNNER),
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_default_queue": "cpu",
        "task_routes": ("gristmill.tasks.task:route",),
        "task_send_sent_event": settings.task_events,
        "worker_send_task_events": settings.task_events,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }
