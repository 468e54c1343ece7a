"""The scripts of this room, as its classes call them."""

import copy
from typing import Any, Self

from redis import Redis

from gristmill.config.settings import Settings
from gristmill.server.confirm import confirmed
from gristmill.server.scripts import Scripts


class BatchScripts:
    """Calls the scripts on one server; safe to share between threads, and usable after a fork."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client, self.settings = client, settings

    def through(self, client: Redis) -> Self:
        """The same, called through another client."""
        other = copy.copy(self)
        other.client = client
        return other

    def _call(self, name: str, **arguments: Any) -> Any:
        return Scripts(self.client, self.settings.prefix, "batches").call(name, **arguments)

    def _confirmed(self, name: str, **arguments: Any) -> Any:
        """Run a script that can be repeated; what it wrote and read is on as many replicas as a setting says."""
        return confirmed(
            self.client, self.settings, lambda one: BatchScripts(one, self.settings)._call(name, **arguments)
        )
