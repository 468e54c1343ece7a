"""Flower's options, built from the settings, and the addresses on which it may listen."""

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
    """Flower's options by name; its command line, its environment and its file override them."""
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
    """Refuse a dashboard that other hosts can reach, unless it is `guarded` by a password.

    Raises:
        SettingError: `address` is not of this host alone, and no password guards the dashboard.
    """
    if not guarded and not is_loopback(address):
        raise SettingError(
            f"invalid value for {variable('dashboard_host')}: {address or 'every address'!r} (expected 127.0.0.1, or "
            f"a password in {variable('dashboard_password')} or {variable('dashboard_password')}_FILE: other hosts "
            "can reach this address)"
        )


def is_loopback(address: str) -> bool:
    """Whether an address or a host name means this host alone."""
    try:
        addresses = {str(entry[4][0]) for entry in socket.getaddrinfo(address or "0.0.0.0", None)}  # noqa: S104
    except OSError:
        return False
    return all(ip_address(each.partition("%")[0]).is_loopback for each in addresses)


def dashboard_url(settings: Settings, port: int) -> str:
    """The URL of the dashboard, as people type it."""
    host = settings.dashboard_host
    prefix = settings.dashboard_url_prefix.strip("/")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}" + (f"/{prefix}/" if prefix else "")
