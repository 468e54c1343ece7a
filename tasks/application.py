"""The Celery app. Workers, Flower and plain `.delay()` calls use it; the server is looked up when first needed."""

import sys
from importlib import import_module
from typing import Any

from celery import Celery

import gristmill.broker.transport  # noqa: F401 - puts itself in the place of kombu's
from gristmill.config.celery import celery_config, secured
from gristmill.config.settings import settings
from gristmill.errors import ServerError
from gristmill.server.connection import locate


class GristmillCelery(Celery):
    """Celery whose broker and result backend are wherever `GRISTMILL_REDIS_URL` or `gristmill up` say."""

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Any:
        """A connection to take messages from."""
        return super().connection_for_read(url or secured(locate()), **kwargs)

    def connection_for_write(self, url: str | None = None, **kwargs: Any) -> Any:
        """A connection to put messages on."""
        return super().connection_for_write(url or secured(locate()), **kwargs)

    def _get_backend(self) -> Any:
        self.conf.result_backend = secured(locate())
        return super()._get_backend()


def _configuration() -> dict[str, Any]:
    try:
        url = locate()
    except ServerError:
        # Importing tasks needs no server; connecting does, and then says so.
        url = None
    return celery_config(settings(), url)


app = GristmillCelery("gristmill", set_as_current=True)
app.add_defaults(_configuration)
app.steps["worker"].update(
    {
        "gristmill.worker.steps:PoolGuard",
        "gristmill.worker.steps:Prepare",
        "gristmill.worker.steps:SlotMemory",
        "gristmill.worker.heartbeat:Heartbeat",
        "gristmill.worker.drain:Drain",
    }
)
if "flower" in sys.argv and "flower.command" in sys.modules:
    # `celery -A gristmill.tasks flower`: Celery has loaded Flower's command, which is to run our Flower.
    import_module("gristmill.dashboard.application").install()
