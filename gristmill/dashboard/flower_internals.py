"""What this room uses of Flower beyond its documented names, each under a name of ours.

`tests/unit/test_internals.py` asserts every name, and says what breaks when a version lacks it.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flower
from flower import command
from flower.app import Flower, rewrite_handler
from flower.options import default_options
from flower.urls import handlers
from flower.utils import broker
from flower.utils.blocking import BlockingOperationRunner
from flower.utils.broker import BrokerBase
from flower.views import BaseHandler
from flower.views.broker import BrokerView
from flower.views.tasks import TaskView
from flower.views.workers import WorkerView
from tornado.template import Loader, Template

#: What others import from here as it is.
__all__ = [
    "BaseHandler",
    "BlockingOperationRunner",
    "BrokerBase",
    "BrokerView",
    "Flower",
    "TaskView",
    "WorkerView",
    "default_options",
    "rewrite_handler",
]

#: The folder of Flower's templates, the start of the tabs in its `navbar.html`, and that of a page's content.
TEMPLATES = Path(flower.__file__).parent / "templates"
TABS = '<ul class="app-nav navbar-nav">'
CONTENT = "{% block container %}"
#: The routes of Flower's API: pattern and handler.
API = [handler for handler in handlers if isinstance(handler, tuple) and handler[0].startswith("/api/")]


class HookedLoader(Loader):
    """Tornado's loader of templates, which Flower's pages use."""

    def _create_template(self, name: str) -> Template:
        return self.template(name)

    def template(self, name: str) -> Template:
        """Read the template of that name; the loader keeps it."""
        raise NotImplementedError


_new_broker = broker.Broker.__new__


def run_instead(application: type[Flower]) -> None:
    """Have Flower's command run an application of ours."""
    command.Flower = application


def set_defaults(values: Mapping[str, Any]) -> None:
    """Change the defaults of Flower's options; its command line and its variables still override them."""
    for name, value in values.items():
        default_options._options[name.replace("_", "-")].default = value


def add_broker(schemes: Collection[str], make: Callable[..., BrokerBase]) -> None:
    """Have Flower ask what `make` returns for the queues of a broker whose URL has one of `schemes`."""

    def new(cls: type, broker_url: str, *args: Any, **kwargs: Any) -> Any:
        if urlsplit(broker_url).scheme in schemes:
            return make(broker_url, *args, **kwargs)
        return _new_broker(cls, broker_url, *args, **kwargs)

    broker.Broker.__new__ = new
