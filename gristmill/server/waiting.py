"""Waiting for a server that is starting, or whose disk is full."""

import logging
import time

from gristmill.errors import ServerError
from gristmill.server.connection import connect, hopeless, locate, reaching, unwritable

SERVER_SECONDS = 15.0

log = logging.getLogger(__name__)


def wait_for_server() -> None:
    """Wait until a worker can begin: a Procfile starts the server at the same moment as its workers.

    It waits for a server whose address is not known yet, and for one that cannot write. Whoever works with a
    server that does not answer waits for it later.

    Raises:
        ServerError: there was no server for SERVER_SECONDS, it refuses the login, or its certificate is not trusted.
        SettingError: the server's URL is malformed.
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
    warned = False
    while error := _refusal():
        if hopeless(error):
            raise error
        if not warned:
            log.warning("waiting for the server: %s", error)
        warned = True
        time.sleep(1)


def _refusal() -> ServerError | None:
    """Why a worker cannot begin: the server can never be used, or cannot write now; None if it can."""
    try:
        with connect(patience=0) as client, reaching():
            client.ping()
    except ServerError as error:
        return error if hopeless(error) or unwritable(error) else None
    return None
