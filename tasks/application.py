"""The Celery app. Workers, Flower and plain `.delay()` calls use it; it looks the server up when it first needs it."""

import sys
from importlib import import_module
from typing import Any

from gristmill.broker.address import from_redis
from gristmill.broker.equipment import CONSUMER, STEPS
from gristmill.config.celery import celery_config, secured
from gristmill.config.settings import settings
from gristmill.errors import ServerError
from gristmill.server.connection import ANSWER_SECONDS, CONNECT_SECONDS, for_server, locate
from gristmill.server.sentinel import celery_backend, is_sentinel
from gristmill.server.waiting import COMMAND
from gristmill.tasks.celery_internals import LocatedCelery, Settings, use_settings
from gristmill.tasks.server_errors import ResultsInOneLine, one_line

#: Names our app on Celery's command line, which else takes the app that a variable `APP` names.
APP_OPTION = ("-A", "gristmill.tasks.application")


class OwnSettings(Settings):
    """Celery's settings without the variables `CELERY_BROKER_URL` and their like: they are of the user's own app."""

    @property
    def broker_url(self) -> Any:
        """Where messages are put and taken."""
        return self.get("broker_url")

    broker_read_url = broker_write_url = broker_url

    @property
    def result_backend(self) -> Any:
        """Where results are stored."""
        return self.get("result_backend")


class GristmillCelery(LocatedCelery):
    """Celery whose broker and result backend are wherever `GRISTMILL_REDIS_URL` or `gristmill up` say."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, control="gristmill.tasks.remote_control:RemoteControl", **kwargs)
        use_settings(self, OwnSettings)

    def connection_for_read(self, url: str | None = None, **kwargs: Any) -> Any:
        """A connection to take messages from."""
        return super().connection_for_read(url or from_redis(locate()), **kwargs)

    def connection_for_write(self, url: str | None = None, **kwargs: Any) -> Any:
        """A connection to put messages on."""
        return super().connection_for_write(url or from_redis(locate()), **kwargs)

    def send_task(self, *args: Any, **kwargs: Any) -> Any:
        """Put a message for a task; `.delay()` and `.apply_async()` end here.

        Raises:
            ServerError: the server cannot be reached, or refuses the message.
        """
        with one_line():
            return super().send_task(*args, **kwargs)

    def backend_url(self) -> str:
        """The URL of the result backend."""
        url = locate()
        return celery_backend(url)[0] if is_sentinel(url) else secured(url)

    def backend_class(self, kind: type) -> type:
        """The class of the result backend, made of Celery's for the URL."""
        return type("ResultBackend", (ResultsInOneLine, kind), {})


def _sentinel_backend(url: str) -> dict[str, Any]:
    """Celery's configuration of a result backend behind Sentinel."""
    backend, options, tls = celery_backend(url)
    # Celery waits two minutes otherwise, and a primary that is stopped says nothing.
    waits = {"redis_socket_timeout": ANSWER_SECONDS, "redis_socket_connect_timeout": CONNECT_SECONDS}
    ssl = {"redis_backend_use_ssl": tls} if tls else {}
    return {"result_backend": backend, "result_backend_transport_options": options, **waits, **ssl}


def _configuration() -> dict[str, Any]:
    try:
        url = locate()
    except ServerError:
        # Importing tasks needs no server; connecting does, and then raises this error.
        url = None
    behind_sentinel = url is not None and is_sentinel(url)
    backend = _sentinel_backend(url) if url and behind_sentinel else {}
    config = celery_config(settings(), None if behind_sentinel else url)
    patience = for_server(url or "", COMMAND).as_celery()
    return {
        **config,
        **backend,
        "task_publish_retry_policy": patience,
        "result_backend_transport_options": {
            **config["result_backend_transport_options"],
            **backend.get("result_backend_transport_options", {}),
            "retry_policy": patience,
        },
        "broker_url": url and from_redis(url),
        "worker_consumer": CONSUMER,
    }


# A program that imports us keeps its own current app: Celery makes ours the current one in our workers.
app = GristmillCelery("gristmill", set_as_current=False)
app.add_defaults(_configuration)
app.steps["worker"].update(
    {
        *STEPS,
        "gristmill.worker.transport_steps:TransportGuard",
        "gristmill.worker.boot_steps:PoolGuard",
        "gristmill.worker.boot_steps:Equipment",
        "gristmill.worker.boot_steps:Prepare",
        "gristmill.worker.boot_steps:Containment",
        "gristmill.worker.runs.rows:Runs",
        "gristmill.worker.heartbeat:WorkerHeartbeat",
        "gristmill.worker.drain:Drain",
    }
)
if "flower" in sys.argv and "flower.command" in sys.modules:
    # `celery -A gristmill.tasks flower`: Celery has loaded Flower's command, which is to run our Flower.
    import_module("gristmill.dashboard.application").install()
