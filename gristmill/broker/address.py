"""Broker URLs: the schemes of the transport, and what a URL says about the connection."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from kombu.utils.url import parse_ssl_cert_reqs

from gristmill.errors import SettingError
from gristmill.server import sentinel
from gristmill.server.sentinel import Sentinels

TCP, TLS, SOCKET, SENTINEL = "gristmill", "gristmills", "gristmill-socket", "gristmill-sentinel"
SCHEMES = (TCP, TLS, SOCKET, SENTINEL)

_FORMS = {
    TCP: "gristmill://[USER]:[PASSWORD]@HOST:PORT/DATABASE",
    TLS: "gristmills://[USER]:[PASSWORD]@HOST:PORT/DATABASE?ssl_ca_certs=FILE",
    SOCKET: "gristmill-socket://[USER]:[PASSWORD]@/PATH?db=DATABASE",
    SENTINEL: sentinel.FORM.replace(sentinel.SCHEME, SENTINEL),
}
_TLS_OPTIONS = frozenset(
    {"ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data"}
    | {"ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_min_version", "ssl_ciphers"}
)


class Address(NamedTuple):
    """What a broker URL says. `host` is the path of a Unix socket where it begins with a slash.

    Behind Sentinel it is the label of the Sentinels: kombu keeps a host, and has no place for more.
    """

    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    database: int = 0
    ssl: dict[str, Any] | None = None


#: By label. kombu shows the rest of what it keeps, so the password of the Sentinels is here.
_sentinels: dict[str, Sentinels] = {}


def sentinels_of(host: str) -> Sentinels | None:
    """The Sentinels whose label kombu has as its host; None for a host that is a server."""
    return _sentinels.get(host)


def from_redis(url: str) -> str:
    """The broker URL for the server that a URL of `GRISTMILL_REDIS_URL` names.

    A Sentinel URL has one scheme as a broker's: its options say whether to use TLS.
    """
    if url.startswith(f"{sentinel.TLS_SCHEME}://"):
        if not any(f"{mark}ssl_" in url for mark in "?&"):
            url += "&ssl_cert_reqs=required"
        return url.replace(sentinel.TLS_SCHEME, SENTINEL, 1)
    if sentinel.is_sentinel(url):
        return url.replace(sentinel.SCHEME, SENTINEL, 1)
    return url.replace("rediss://", f"{TLS}://", 1).replace("redis://", f"{TCP}://", 1)


def parse(url: str) -> Address:
    """Read a broker URL.

    Raises:
        SettingError: the URL is not one of the transport, or malformed. The error does not quote it: it may have
            a password.
    """
    scheme = url.partition("://")[0]
    if scheme not in _FORMS:
        raise SettingError(f"invalid scheme of a broker URL: {scheme!r} (expected {', '.join(_FORMS)})")
    sentinels = None
    try:
        if scheme == SENTINEL:
            sentinels, url = sentinel.parse(url.replace(SENTINEL, sentinel.SCHEME, 1))
        parts = urlsplit(url)
        options, port = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query))), parts.port
        user, password = (unquote(text) if text else None for text in (parts.username, parts.password))
        if scheme == SOCKET:
            database = int(options.pop("db", 0))
            host = unquote(parts.path)
        else:
            database = int(parts.path.strip("/") or 0)
            host = unquote(parts.hostname or "localhost")
        ssl = _ssl(options) if scheme in (TLS, SENTINEL) else {}
        if sentinels:
            host, port = sentinels.label, None
            _sentinels[host] = sentinels
        if database < 0 or not host.strip("/"):
            raise ValueError
    except (ValueError, KeyError):
        raise SettingError(f"invalid broker URL: {scheme}://… (expected {_FORMS[scheme]})") from None
    if options:
        raise SettingError(f"invalid option of a {scheme}:// URL: {min(options)!r} (expected {_FORMS[scheme]})")
    return Address(host, port, user, password, database, ssl or None)


def _ssl(options: dict[str, str]) -> dict[str, Any]:
    """The TLS options, taken out of the others."""
    ssl: dict[str, Any] = {name: options.pop(name) for name in _TLS_OPTIONS & options.keys()}
    if "ssl_cert_reqs" in ssl:
        ssl["ssl_cert_reqs"] = parse_ssl_cert_reqs(ssl["ssl_cert_reqs"])
    if "ssl_check_hostname" in ssl:
        ssl["ssl_check_hostname"] = {"true": True, "false": False}[ssl["ssl_check_hostname"].lower()]
    return ssl


def render(scheme: str, address: Address, password: str | None, *, secrets: bool = False) -> str:
    """The URL of an address, with `password` in the place of its own; with `secrets`, that of the Sentinels too."""
    user = quote(address.user or "", safe="")
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    if address.host.startswith("/"):
        return f"{SOCKET}://{login}{quote(address.host)}?db={address.database}"
    options = {name: getattr(value, "name", value) for name, value in (address.ssl or {}).items()}
    sentinels = sentinels_of(address.host)
    if sentinels:
        place = ",".join(sentinel.host_and_port(*host) for host in sentinels.hosts)
        theirs = {"sentinel_username": sentinels.username, "sentinel_password": sentinels.password}
        options |= {name: text for name, text in theirs.items() if text and secrets}
        return f"{SENTINEL}://{login}{place}/{address.database}?{urlencode({'name': sentinels.name, **options})}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = f":{address.port}" if address.port else ""
    return f"{scheme}://{login}{host}{port}/{address.database}" + (f"?{urlencode(options)}" if options else "")
