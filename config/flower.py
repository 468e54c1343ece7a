"""Flower's options, built from the settings, and the addresses on which it may listen."""

import os
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pydoc import ErrorDuringImport, locate
from typing import Any

from gristmill.config.settings import Settings, variable
from gristmill.errors import SettingError, invalid_value

#: The user of the dashboard who has its first password, and may act.
USER = "gristmill"
#: Seconds after which a worker that went away leaves Flower's list.
PURGE_SECONDS = 60
#: What Flower's OAuth needs beside `auth`, which says who may come in.
OAUTH = ("auth_provider", "oauth2_key", "oauth2_secret", "oauth2_redirect_uri")


def passwords(settings: Settings) -> dict[str, str]:
    """The passwords with which people log in to the dashboard, by name.

    Raises:
        SettingError: somebody has two roles, or a name has no password and nobody else checks it.
    """
    first = {USER: settings.dashboard_password} if settings.dashboard_password else {}
    operators: dict[str, str | None] = {**first, **settings.dashboard_operators}
    if both := operators.keys() & settings.dashboard_viewers.keys():
        expected = f"names that are not in {variable('dashboard_operators')}"
        raise SettingError(invalid_value(variable("dashboard_viewers"), min(both), expected))
    every = settings.dashboard_viewers | operators
    with_password = {name: password for name, password in every.items() if password}
    unchecked = sorted(every.keys() - with_password.keys())
    if unchecked and (with_password or not os.environ.get("FLOWER_AUTH")):
        role = "dashboard_viewers" if unchecked[0] in settings.dashboard_viewers else "dashboard_operators"
        expected = "NAME:PASSWORD; or names alone, FLOWER_AUTH, which checks them, and no password beside it"
        raise SettingError(invalid_value(variable(role), unchecked[0], expected))
    return with_password


def may_act(settings: Settings, user: str) -> bool:
    """Whether who has logged in as `user` may do more than look.

    Where operators have a name, only they may: a service that checks who comes in may know many more.
    """
    if user in settings.dashboard_viewers:
        return False
    operators = settings.dashboard_operators
    return not operators or user in operators or (user == USER and bool(settings.dashboard_password))


def flower_options(settings: Settings) -> dict[str, Any]:
    """Flower's options by name; its command line, its environment and its file override them."""
    return {
        "address": settings.dashboard_host,
        "port": settings.dashboard_port,
        "purge_offline_workers": PURGE_SECONDS,
        "enable_events": settings.task_events,
        "basic_auth": [f"{name}:{password}" for name, password in passwords(settings).items()],
        "read_only": settings.dashboard_read_only,
        "url_prefix": settings.dashboard_url_prefix.strip("/"),
    }


def is_guarded(settings: Settings) -> bool:
    """Whether a visitor of the dashboard has to log in: with a password, or by Flower's OAuth."""
    return bool(passwords(settings) or os.environ.get("FLOWER_AUTH"))


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


def check_oauth(option: Callable[[str], Any]) -> None:
    """Refuse Flower's OAuth where nobody could log in; `option` gives the value of an option of Flower.

    Raises:
        SettingError: `auth` fits nobody, one of OAUTH is missing, or no class has the name of the provider.
    """
    if not (auth := option("auth")):
        return
    if "\\" in auth:
        raise SettingError(invalid_value("FLOWER_AUTH", auth, "no backslash: it is part of no mail address"))
    name = str(option("auth_provider") or "")
    # Another one than Flower's may need nothing more.
    needs = OAUTH if not name or name.startswith("flower.") else ()
    if missing := [f"FLOWER_{each.upper()}" for each in needs if not option(each)]:
        raise SettingError(f"FLOWER_AUTH needs {', '.join(missing)} as well; without them nobody can log in")
    try:
        # Flower takes a colon too.
        provider = locate(name.replace(":", "."))
    except ErrorDuringImport as error:
        raise SettingError(f"FLOWER_AUTH_PROVIDER: {name!r} cannot be imported: {error.value}") from error
    if not isinstance(provider, type):
        expected = "the name of a class, such as flower.views.auth.GoogleAuth2LoginHandler"
        raise SettingError(invalid_value("FLOWER_AUTH_PROVIDER", name, expected))


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
