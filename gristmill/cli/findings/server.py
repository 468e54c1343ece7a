"""What `gristmill doctor` finds about the server itself: its version, its rights, its storage, its clock."""

import time
from collections.abc import Iterator
from typing import Any, cast

from redis import Redis
from redis.exceptions import ResponseError

from gristmill.broker.dead_letters import DeadLetters
from gristmill.cli.findings.finding import Finding
from gristmill.config.settings import settings, variable
from gristmill.server import replicas
from gristmill.server.certificate import certificate_days
from gristmill.server.connection import locate, without_password
from gristmill.server.facts import server_facts
from gristmill.server.rights import BATCHES, TRANSPORT, grant, refused_commands
from gristmill.server.sentinel import is_sentinel

#: The oldest servers that have what the scripts need.
OLDEST = {"redis": (7, 0), "valkey": (8, 0)}
#: Seconds by which this host's clock may differ from the server's; share of the memory that may be in use.
CLOCK_SECONDS, MEMORY_SHARE = 2.0, 0.75
#: Days before its end from which on the server's certificate is to be renewed.
CERTIFICATE_DAYS = 30


def server_findings(server: Redis) -> Iterator[Finding]:
    """Look at the server.

    Raises:
        RedisError: the server cannot be reached, or refuses.
    """
    info = server_facts(server)
    stored = (_persistence, _eviction, _memory) if "used_memory" in info else (_storage_unseen,)
    for look in (_version, _connection, _topology, _rights, *stored, _clock, _dead_letters):
        yield look(server, info)
    yield from (Finding(*finding) for finding in replicas.findings(server, info, settings()))


def _version(_: Redis, info: dict[str, Any]) -> Finding:
    name = info.get("server_name", "redis")
    version = str(info.get(f"{name}_version", info["redis_version"]))
    oldest = OLDEST.get(name, (7, 0))
    old = tuple(int(part) for part in version.split(".")[:2]) < oldest
    advice = f"update it: {name} {'.'.join(map(str, oldest))} or later" if old else ""
    return Finding("server", f"{name} {version} at {without_password(locate())}", advice)


def _connection(server: Redis, _: dict[str, Any]) -> Finding:
    parameters = server.connection_pool.connection_kwargs
    if not locate().startswith(("rediss://", "rediss-sentinel://")):
        return Finding("connection", "not encrypted")
    if parameters.get("ssl_cert_reqs") == "none":
        return Finding(
            "connection", "TLS, unchecked", "anybody may be the server: take ssl_cert_reqs out of its address"
        )
    days = certificate_days(server)
    if days is None:
        return Finding("connection", "TLS, certificate checked")
    state = f"TLS, certificate checked, {int(days)} days left"
    if days < CERTIFICATE_DAYS:
        return Finding("connection", state, "renew the certificate before it expires: docs/operating.md says how")
    return Finding("connection", state)


def _topology(_: Redis, info: dict[str, Any]) -> Finding:
    if info.get("cluster_enabled"):
        return Finding("topology", "cluster", "a batch and its queue share one server: use one that is in no cluster")
    if info.get("role") == "slave":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        return Finding("topology", f"replica of {primary}", "it takes no writes: name the primary")
    if is_sentinel(locate()):
        return Finding("topology", f"the primary of {info.get('connected_slaves', 0)} replicas, by Sentinel")
    return Finding("topology", "one server")


def _rights(server: Redis, _: dict[str, Any]) -> Finding:
    """Whether a worker may start as this user."""
    commands = refused_commands(server, settings().prefix, (*TRANSPORT, *BATCHES))
    if commands:
        return Finding("rights", "too few for a worker", f"unless workers have another user: {grant(server, commands)}")
    return Finding("rights", "enough for a worker")


def _storage_unseen(_: Redis, __: dict[str, Any]) -> Finding:
    return Finding(
        "persistence",
        "cannot be read",
        "this user may not call INFO: see to it where the server is managed that it keeps an AOF, appendfsync always, "
        "evicts no keys (noeviction) and has a maxmemory, or grant +info and +config|get",
    )


def _configured(server: Redis, name: str) -> str | None:
    try:
        return cast(dict[str, str], server.config_get(name)).get(name)
    except ResponseError:
        return None


def _persistence(server: Redis, info: dict[str, Any]) -> Finding:
    if not info.get("aof_enabled"):
        saved = "snapshots only, no AOF" if _configured(server, "save") else "no AOF"
        return Finding("persistence", saved, "a restart of the server loses batches: set appendonly yes")
    fsync = _configured(server, "appendfsync") or "cannot be read"
    advice = {
        "always": "",
        "everysec": "a power cut may lose about 2 s: set appendfsync always if that matters",
        "no": "a power cut may lose about 30 s: set appendfsync always",
    }.get(fsync, "see to it where the server is managed that appendfsync is always")
    if info.get("aof_last_write_status") != "ok":
        advice = "the last write to the AOF failed: free some space on the server's disk; its log says more"
    return Finding("persistence", f"AOF, appendfsync {fsync}", advice)


def _eviction(_: Redis, info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy", "unknown")
    advice = "" if policy == "noeviction" else "it deletes keys when it is full: set maxmemory-policy noeviction"
    return Finding("eviction", policy, advice)


def _memory(_: Redis, info: dict[str, Any]) -> Finding:
    used, most = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not most:
        return Finding("memory", f"{used >> 20} MiB used, no limit", "set maxmemory, so that a full server says so")
    state = f"{used >> 20} of {most >> 20} MiB used"
    if used <= MEMORY_SHARE * most:
        return Finding("memory", state)
    names = f"{variable('server_memory')}, or GRISTMILL_REDIS_MEMORY of compose"
    return Finding("memory", state, f"nearly full: delete ended batches (gristmill delete), or raise {names}")


def _clock(server: Redis, _: dict[str, Any]) -> Finding:
    before = time.time()
    seconds, microseconds = server.time()
    drift = seconds + microseconds / 1e6 - (before + time.time()) / 2
    advice = "set one of the two clocks: times that commands print are off" if abs(drift) > CLOCK_SECONDS else ""
    return Finding("clock", f"{drift:+.3f} s from the server's", advice)


def _dead_letters(server: Redis, _: dict[str, Any]) -> Finding:
    dead_letters, most = DeadLetters(server, settings()), settings().dead_letter_bytes
    number, used = len(dead_letters), dead_letters.size
    state = f"{number:,}, {used:,} of {most:,} bytes"
    if not number:
        return Finding("dead letters", state)
    advice = "look with `gristmill dead list`, then `gristmill dead requeue` or `gristmill dead delete`"
    if used > MEMORY_SHARE * most:
        advice = (
            f"nearly full, and the server deletes none to make room: {advice}, or raise {variable('dead_letter_bytes')}"
        )
    return Finding("dead letters", state, advice)
