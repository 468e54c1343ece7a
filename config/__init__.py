"""One typed settings object, and the Celery, Flower, logging and server configuration built from it."""

from gristmill.config.settings import Settings, settings

__all__ = ["Settings", "settings"]
