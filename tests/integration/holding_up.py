"""A task for test_isolation that has the server stand still once it has ended."""

from broker.connection import client
from tasks import cpu


@cpu(time_limit=0.5)
def hold_up(ms: int) -> int:
    client().client_pause(ms, all=False)
    return ms
