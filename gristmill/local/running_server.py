"""The server that commands find: one that the settings name, or that of a fleet in the home."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from gristmill.config.settings import settings
from gristmill.errors import InputError
from gristmill.server.home import Home
from gristmill.server.waiting import Deadline

#: Seconds for which an owned home may have no server: its owner is starting or ending.
CHANGE_SECONDS = 20.0


def running() -> bool:
    """Whether there is a server: one that the settings name, or that of a fleet in the home.

    While the owner of the home starts or ends, the function waits.
    """
    if settings().redis_url:
        return True
    home, deadline = Home(settings().home), Deadline(CHANGE_SECONDS)
    while home.running() is None:
        if home.holder() is None or deadline.over:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def server_for_reading() -> Iterator[bool]:
    """A server for the duration: the one that runs, else the private one, without workers.

    Yields whether a fleet runs there, and goes on after this command.
    """
    deadline = Deadline(CHANGE_SECONDS)
    with ExitStack() as stack:
        fleet = True
        while not running():
            # Most commands find a server, and need nothing that starts one.
            from gristmill.server.owner import own_server

            try:
                stack.enter_context(own_server(Home(settings().home), "gristmill results", settings()))
                fleet = False
            except InputError:
                # Another command was faster.
                if deadline.over:
                    raise
        yield fleet
