"""The Lua scripts of this room: a batch's state changes, one call each."""

from functools import cache
from pathlib import Path

from redis import Redis
from redis.commands.core import Script

_HERE = Path(__file__).parent / "lua"
_QUEUE = Path(__file__).parent.parent / "broker" / "lua" / "queue.lua"

#: Scripts that give memory back, or lead to it: they run on a full server too, so that it drains.
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
#: Scripts that only read: they run also where the server refuses whatever writes.
_READS = frozenset({"waiting"})
_SHARED = ("ledger", "count", "chunks", "ending")
#: Scripts that stand alone; the others begin with the queue and what scripts share.
_ALONE = frozenset({"host_take", "host_renew"})


@cache
def text(name: str) -> str:
    """The whole text of the script `name`: its shebang, what it shares with others, and its own file."""
    flags = " flags=no-writes" if name in _READS else " flags=allow-oom" if name in _ALLOW_OOM else ""
    parts = [f"#!lua{flags}"]
    if name not in _ALONE:
        parts += [_QUEUE.read_text(), *((_HERE / f"{part}.lua").read_text() for part in _SHARED)]
    return "\n".join([*parts, (_HERE / f"{name}.lua").read_text()])


def script(client: Redis, name: str) -> Script:
    """The script `name`, callable as `script(args=[…])`; it is loaded into the server when that lacks it."""
    return client.register_script(text(name))
