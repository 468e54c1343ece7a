"""Whether the replicas can keep what CONFIRM_REPLICAS promises: for `gristmill doctor`."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

from redis import ConnectionPool, Redis, exceptions
from redis.connection import Connection, SSLConnection

from gristmill.config.settings import Settings, variable
from gristmill.server.primary import PrimaryTlsConnection, primary_for
from gristmill.server.sentinel import host_and_port
from gristmill.server.waiting import ONCE, Patience

#: Seconds to wait for the answer of a replica.
_ANSWER_SECONDS = 2.0


def findings(client: Redis, info: dict[str, Any], settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Lines about the replicas, each with its check, its state, and advice, which is empty where all is well.

    `info` is the server's INFO. There are none for a server without Sentinel when nothing is to be confirmed.
    """
    number = settings.confirm_replicas
    primary = primary_for(client.connection_pool.connection_kwargs)
    if not number and primary is None:
        return
    places = _connected(info) if primary is None else _promotable(primary.replicas())
    # A managed server may keep INFO to itself.
    connected = int(info.get("connected_slaves", len(places)))
    state = f"by {number} replicas; connected: {connected}"
    yield "confirmation", state, _advice(number, connected, len(places), behind_sentinel=primary is not None)
    for host, port in places if number else []:
        fsync = _appendfsync(client.connection_pool, host, port)
        yield "replica", f"{host_and_port(host, port)}, appendfsync {fsync or 'cannot be read'}", _flush_advice(fsync)


def _advice(number: int, connected: int, promotable: int, *, behind_sentinel: bool) -> str:
    name = variable("confirm_replicas")
    if connected < number:
        return f"nothing can be confirmed: start the missing replicas, or set {name} to {connected} or less"
    if behind_sentinel and number < promotable:
        return (
            f"a failover may take back what was confirmed, or shown: Sentinel may promote each of {promotable} "
            f"replicas; set {name}={promotable}"
        )
    return ""


def _flush_advice(fsync: str | None) -> str:
    return {
        "always": "",
        "everysec": "each confirmation waits up to a second for it: set appendfsync always",
        "off": "it confirms nothing, because it has no AOF: set appendonly yes, and appendfsync always",
        "no": "it confirms a write only when its system flushes it: set appendfsync always",
    }.get(fsync or "", "see to it where the replica is managed that appendonly is yes and appendfsync always")


def _connected(info: dict[str, Any]) -> list[tuple[str, int]]:
    slaves = (info[f"slave{number}"] for number in range(int(info.get("connected_slaves", 0))))
    return [(str(slave["ip"]), int(slave["port"])) for slave in slaves]


def _promotable(replicas: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The addresses of the replicas that Sentinel may promote: those with a priority other than 0."""
    return [(each["ip"], int(each["port"])) for each in replicas if int(each.get("slave-priority", 100))]


def _appendfsync(pool: ConnectionPool, host: str, port: int) -> str | None:
    """The setting of a replica; `off` means no AOF, None means that it cannot be asked."""
    kwargs = {name: value for name, value in pool.connection_kwargs.items() if name != "sentinels"}
    kwargs |= {"host": host, "port": port, "retry": Patience(ONCE)}
    kwargs |= {"socket_timeout": _ANSWER_SECONDS, "socket_connect_timeout": _ANSWER_SECONDS}
    is_tls = issubclass(pool.connection_class, PrimaryTlsConnection) or "ssl_cert_reqs" in kwargs
    pool = ConnectionPool(SSLConnection if is_tls else Connection, **kwargs)
    with suppress(exceptions.RedisError), Redis.from_pool(pool) as one:
        if not one.info("persistence").get("aof_enabled"):
            return "off"
        return cast(str | None, one.config_get("appendfsync").get("appendfsync"))
    return None
