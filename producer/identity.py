"""Who submits or cancels a batch, as its state keeps it."""

import getpass
import socket


def user_at_host() -> str:
    """The user and the host of this process: `ann@host-a`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
