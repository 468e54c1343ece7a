"""Flower's options, built from the settings."""

from config.settings import Settings

#: Seconds after which a worker that went away leaves Flower's list.
PURGE_SECONDS = 60


def flower_arguments(settings: Settings, port: int) -> list[str]:
    """The arguments of `celery flower`."""
    return [
        f"--address={settings.dashboard_host}",
        f"--port={port}",
        f"--purge_offline_workers={PURGE_SECONDS}",
        f"--enable_events={settings.task_events}",
        f"--logging={settings.log_level}",
    ]
