"""Waiting for a server that is just being started."""

import time

from broker.connection import connect, hopeless, locate, reaching
from config.errors import ServerError

SERVER_SECONDS = 15.0


def await_server() -> None:
    """Wait until there is a server to work for: a Procfile starts it at the same moment as its workers.

    One that does not answer is waited for by who works with it.

    Raises:
        ServerError: there was none for SERVER_SECONDS, or it can never be used: it refuses the login, or its
            certificate is not trusted.
        SettingError: its address is malformed.
    """
    deadline = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            locate()
            break
        except ServerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    try:
        with connect(patience=0) as client, reaching():
            client.ping()
    except ServerError as error:
        if isinstance(error.__cause__, Exception) and hopeless(error.__cause__):
            raise
