"""The person for whom this process acts, as the state of a batch and the log of actions name them."""

import getpass
import os
import socket


def user_at_host() -> str:
    """This process's user and host: `ann@host-a`, or `1234@host-a` where the user has no name, as in a container."""
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # KeyError: before Python 3.13
        return str(os.getuid())


def cancelled_item(index: int) -> str:
    """The reason that a batch has when this program cancels one of its items."""
    return f"item {index} by {user_at_host()}"
