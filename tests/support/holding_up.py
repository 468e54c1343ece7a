"""A task for test_quarantine that has the server stand still once it has ended."""

from gristmill import cpu
from gristmill.server.connection import client


@cpu(time_limit=0.5)
def hold_up(ms: int) -> int:
    client().client_pause(ms, all=False)
    return ms
