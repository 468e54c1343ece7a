"""A task for test_isolation that has the server stand still once it has ended."""

from gristmill.server.connection import client
from gristmill.tasks import cpu


@cpu(time_limit=0.5)
def hold_up(ms: int) -> int:
    client().client_pause(ms, all=False)
    return ms
