"""Waiting for a server that is just being started, or whose disk is full."""

import logging
import time

from gristmill.errors import ServerError
from gristmill.server.connection import connect, hopeless, locate, reaching, unwritable

SERVER_SECONDS = 15.0

log = logging.getLogger(__name__)


def wait_for_server() -> None:
    """Wait until there is a server to work for: a Procfile starts it at the same moment as its workers.

    One that cannot write is waited for too; one that does not answer, by who works with it.

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
    said = False
    while error := _refusal():
        if hopeless(error):
            raise error
        if not said:
            log.warning("waiting for the server: %s", error)
        said = True
        time.sleep(1)


def _refusal() -> ServerError | None:
    """What speaks against working with the server now: it can never be used, or cannot write."""
    try:
        with connect(patience=0) as client, reaching():
            client.ping()
    except ServerError as error:
        return error if hopeless(error) or unwritable(error) else None
    return None
