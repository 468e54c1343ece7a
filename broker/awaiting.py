"""Waiting for a server that is just being started."""

import time

from broker.connection import locate
from config.errors import ServerError

SERVER_SECONDS = 15.0


def await_server() -> None:
    """Wait until there is a server to work for: a Procfile starts it at the same moment as its workers.

    Raises:
        ServerError: there was none for SERVER_SECONDS.
    """
    deadline = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            locate()
            return
        except ServerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
