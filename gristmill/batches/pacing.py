"""Hands out what the rates of batches let, between the heartbeats of workers."""

from redis import Redis

from gristmill.config.settings import Settings
from gristmill.server.scripts import Scripts


def pace(client: Redis, settings: Settings) -> int:
    """Hand out what the rates of batches let by now; return in how many milliseconds to call again, or -1."""
    return int(Scripts(client, settings.prefix, "batches").call("pace"))
