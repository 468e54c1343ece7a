"""Who does something: as batches keep it."""

import getpass
import socket


def user_at_host() -> str:
    """This process's user and host: `ann@host-a`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
