"""Addresses of a server behind Sentinel, and what several Sentinels together know of the primary."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis import Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from gristmill.server.replies import by_name

SCHEME, TLS_SCHEME = "redis-sentinel", "rediss-sentinel"
FORM = f"{SCHEME}://[USER]:[PASSWORD]@HOST:PORT,HOST:PORT/DATABASE?name=PRIMARY"
PORT = 26379
#: Seconds to wait for the answer of one Sentinel.
ANSWER_SECONDS = 0.5


class PrimaryUnknown(exceptions.ConnectionError):
    """No primary can be used now: callers wait as for a server that is away."""


class Sentinels(NamedTuple):
    """The Sentinels to ask, the name of the primary that they watch, and how to log in to them.

    `ssl` has redis-py's options of a TLS connection, as pairs; None means no TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    name: str
    username: str | None = None
    password: str | None = None
    ssl: tuple[tuple[str, Any], ...] | None = None

    @property
    def label(self) -> str:
        """The primary's name and the Sentinels' addresses, in one word: `mymaster@host:26379,host:26380`."""
        return f"{self.name}@{','.join(host_and_port(*host) for host in self.hosts)}"

    def clients(self) -> list[Redis]:
        """A client for each Sentinel, which neither waits long nor tries again."""
        options: dict[str, Any] = {
            "username": self.username,
            "password": self.password,
            "decode_responses": True,
            "socket_timeout": ANSWER_SECONDS,
            "socket_connect_timeout": ANSWER_SECONDS,
            "retry": Retry(NoBackoff(), 0),
        }
        if self.ssl is not None:
            options |= {"ssl": True, **dict(self.ssl)}
        sentinel: Any = Sentinel
        return list(sentinel(self.hosts, sentinel_kwargs=options).sentinels)


def is_sentinel(url: str) -> bool:
    """Whether a URL names Sentinels."""
    return url.startswith((f"{SCHEME}://", f"{TLS_SCHEME}://"))


def host_and_port(host: str, port: int) -> str:
    """An address as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(url: str) -> tuple[Sentinels, str]:
    """Read a URL `redis-sentinel://…` or `rediss-sentinel://…`: the Sentinels, and the rest as a URL of one server.

    The Sentinels are without what the options say of TLS.
    A `sentinel_username` without a `sentinel_password` logs in with the password for the server.

    Raises:
        ValueError: the URL is malformed, or lacks the primary's name.
    """
    parts = urlsplit(url)
    login, at, places = parts.netloc.rpartition("@")
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    name = options.pop("name")
    if parts.scheme not in (SCHEME, TLS_SCHEME) or not name:
        raise ValueError
    user, password = options.pop("sentinel_username", None), options.pop("sentinel_password", None)
    if user and not password:
        password = unquote(login.partition(":")[2]) or None
    sentinels = Sentinels(tuple(_host(place) for place in places.split(",")), name, user, password)
    scheme = "redis" if parts.scheme == SCHEME else "rediss"
    query = f"?{urlencode(options)}" if options else ""
    return sentinels, f"{scheme}://{login}{at}{name.lower()}{parts.path}{query}"


def celery_backend(url: str) -> tuple[str, dict[str, Any], Mapping[str, Any]]:
    """Celery's own form of a Sentinel URL: the result backend's URL, its transport options, and its TLS options.

    Raises:
        ValueError: as with `parse`.
    """
    sentinels, server_url = parse(url)
    parts = urlsplit(server_url)
    login, at, _ = parts.netloc.rpartition("@")
    database = parts.path.strip("/") or "0"
    urls = [f"sentinel://{login}{at}{host_and_port(*host)}/{database}" for host in sentinels.hosts]
    tls = {}
    if parts.scheme == "rediss":
        tls = {"ssl_cert_reqs": "required", **{k: v for k, v in parse_qsl(parts.query) if k.startswith("ssl_")}}
    login_to_sentinels = {"username": sentinels.username, "password": sentinels.password}
    kwargs = {**{name: text for name, text in login_to_sentinels.items() if text}, "socket_timeout": ANSWER_SECONDS}
    if tls:
        kwargs |= {"ssl": True, **tls}
    return ";".join(urls), {"master_name": sentinels.name, "sentinel_kwargs": kwargs}, tls


def _host(place: str) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or PORT


class Report(NamedTuple):
    """What a Sentinel says: the configuration's epoch, the primary's address, and whether the primary seems down."""

    epoch: int
    address: tuple[str, int]
    is_down: bool


class Council:
    """The Sentinels of one primary, asked together."""

    def __init__(self, sentinels: Sentinels) -> None:
        self.name = sentinels.name
        #: Those that answered last time come first.
        self._clients = sentinels.clients()

    def primary(self) -> Report:
        """What those of the highest epoch report. A majority of all Sentinels is asked, or every one that answers.

        Raises:
            PrimaryUnknown: no Sentinel answers, or none knows the primary.
        """
        reports: list[Report] = []
        problems: list[str] = []
        for client in list(self._clients):
            try:
                reports.append(self._ask(client))
            except (exceptions.RedisError, OSError, ValueError, LookupError) as error:
                problems.append(" ".join(str(error).split()))
                self._clients.remove(client)
                self._clients.append(client)
            if len(reports) > len(self._clients) // 2:
                break
        if not reports:
            raise PrimaryUnknown(f"no Sentinel knows the primary {self.name!r}: {problems[0]}")
        newest = [report for report in reports if report.epoch == max(report.epoch for report in reports)]
        address = Counter(report.address for report in newest).most_common(1)[0][0]
        down = sum(report.is_down for report in newest)
        return Report(newest[0].epoch, address, 2 * down > len(newest))

    def replicas(self) -> list[dict[str, Any]]:
        """The replicas that one Sentinel knows, in redis-py's form.

        Raises:
            PrimaryUnknown: no Sentinel answers.
        """
        for client in self._clients:
            with suppress(exceptions.RedisError, OSError):
                return list(client.sentinel_slaves(self.name))
        raise PrimaryUnknown(f"no Sentinel knows the primary {self.name!r}")

    def _ask(self, client: Any) -> Report:
        with client.pipeline(transaction=False) as pipe:
            # Once a replica is promoted, only this command names it, before the failover is over.
            pipe.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
            pipe.execute_command("SENTINEL", "MASTER", self.name)
            place, state = pipe.execute()
        fields = state if isinstance(state, dict) else by_name(state)
        host, port = place
        is_the_old_one = (host, int(port)) != (fields["ip"], int(fields["port"]))
        flags = str(fields["flags"])
        return Report(int(fields["config-epoch"]), (host, int(port)), "down" in flags and not is_the_old_one)
