"""The Lua scripts of this room: each changes the state of a batch in one call."""

from functools import cache
from pathlib import Path

from redis import Redis
from redis.commands.core import Script

_HERE = Path(__file__).parent / "lua"
_QUEUE = Path(__file__).parent.parent / "broker" / "lua" / "queue.lua"

#: Scripts that free memory, or lead to it: they run on a full server too, so that the server drains.
_ALLOW_OOM = frozenset(
    {
        "take",
        "record",
        "heartbeat",
        "end",
        "producer_heartbeat",
        "consume",
        "announce",
        "cancel",
        "pause",
        "forget",
        "names",
        "meters",
    }
    | {"host_take", "host_renew"}
)
#: Scripts that only read: they run on a server that refuses writes too.
_READ_ONLY = frozenset({"waiting"})
_LIBRARY = ("ledger", "count", "cut_chunks", "ending")
#: Scripts without a library; the others start with the queue's functions and with _LIBRARY.
_STANDALONE = frozenset({"host_take", "host_renew"})


@cache
def text(name: str) -> str:
    """The whole text of the script `name`: its shebang, the library, and its own file."""
    flags = " flags=no-writes" if name in _READ_ONLY else " flags=allow-oom" if name in _ALLOW_OOM else ""
    parts = [f"#!lua{flags}"]
    if name not in _STANDALONE:
        parts += [_QUEUE.read_text(), *((_HERE / f"{part}.lua").read_text() for part in _LIBRARY)]
    return "\n".join([*parts, (_HERE / f"{name}.lua").read_text()])


def script(client: Redis, name: str) -> Script:
    """The script `name`, callable as `script(args=[…])`; the call loads it into a server that lacks it."""
    return client.register_script(text(name))
