"""Flower's options, built from the settings, and who may reach it."""

import socket
from ipaddress import ip_address
from typing import Any

from gristmill.config.settings import Settings, variable
from gristmill.errors import SettingError

#: The dashboard's one user.
USER = "gristmill"
#: Seconds after which a worker that went away leaves Flower's list.
PURGE_SECONDS = 60


def flower_options(settings: Settings) -> dict[str, Any]:
    """What Flower's options are unless its command line, its environment or its file says otherwise."""
    return {
        "address": settings.dashboard_host,
        "port": settings.dashboard_port,
        "purge_offline_workers": PURGE_SECONDS,
        "enable_events": settings.task_events,
        "basic_auth": [f"{USER}:{settings.dashboard_password}"] if settings.dashboard_password else [],
        "read_only": settings.dashboard_read_only,
        "url_prefix": settings.dashboard_url_prefix.strip("/"),
    }


def check_reach(address: str, *, guarded: bool) -> None:
    """Refuse a dashboard that others can reach, unless it is `guarded` by a password.

    Raises:
        SettingError: it is not, and `address` is not of this host alone.
    """
    if not guarded and not is_loopback(address):
        raise SettingError(
            f"{variable('dashboard_host')}: {address or 'every address'!r} can be reached from other hosts: set "
            f"{variable('dashboard_password')} (or {variable('dashboard_password')}_FILE), or listen on 127.0.0.1"
        )


def is_loopback(address: str) -> bool:
    """Whether an address or a host name means this host alone."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(address or "0.0.0.0", None)}  # noqa: S104
    except OSError:
        return False
    return all(ip_address(one.partition("%")[0]).is_loopback for one in addresses)


def dashboard_url(settings: Settings, port: int) -> str:
    """The address of the dashboard, as people type it."""
    host = settings.dashboard_host
    prefix = settings.dashboard_url_prefix.strip("/")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}" + (f"/{prefix}/" if prefix else "")
