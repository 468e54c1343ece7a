"""The rights of a user: which commands the server refuses, found by trying each on a key that is not there.

The commands that tell of rights (ACL WHOAMI, ACL DRYRUN, COMMAND INFO) are among those that careful providers refuse.
"""

import uuid
from collections.abc import Iterable
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoPermissionError

#: What the transport of messages needs, and beyond that what batches need. `k` is the key; each command is an error
#: there, reads, or takes back what the one before it wrote.
TRANSPORT = (
    *("EVALSHA 0 0", "SCRIPT LOAD return", "TIME", "TYPE k", "EXISTS k", "DEL k", "PERSIST k", "PTTL k"),
    *("PEXPIRE k 0", "GET k", "SET k 0 NX XX", "INCRBY k x", "DECRBY k x", "LINDEX k 0", "LTRIM k 0 0", "LPUSH k 0"),
    *("LLEN k", "BRPOP k 0.001", "SADD k 0", "SMEMBERS k", "SREM k 0", "HSET k 0 0 0", "HGET k 0", "HMGET k 0"),
    *("HDEL k 0", "HINCRBY k 0 x", "ZADD k x 0", "ZCARD k", "ZCOUNT k 0 0", "ZRANGE k 0 0", "ZSCORE k 0", "ZREM k 0"),
    *("ZREMRANGEBYSCORE k 0 0", "XADD k x 0 0", "XLEN k", "XRANGE k - +", "XDEL k 0-1", "XACK k gm 0-1"),
    *("XPENDING k gm", "XINFO GROUPS k", "XGROUP CREATE k gm 0", "XGROUP DELCONSUMER k gm 0"),
    *("XCLAIM k gm 0 0 0-1", "XREADGROUP GROUP gm 0 STREAMS k >", "EXPIRE k 0"),
)
BATCHES = (
    *("BITCOUNT k", "BITFIELD k x", "BITOP AND k k k", "BITPOS k 0", "GETBIT k 0", "SETBIT k x 0"),
    *("UNLINK k", "HSETNX k 0 0", "HEXISTS k 0", "HKEYS k", "HLEN k", "HVALS k", "HGETALL k", "ZPOPMIN k"),
    *("ZRANGEBYSCORE k 0 0", "SISMEMBER k 0", "SCARD k", "XREVRANGE k + -", "COPY k k"),
    *("ZINCRBY k x 0", "GETRANGE k 0 0", "SETRANGE k x 0"),
)
#: Commands with a second word that has rights of its own.
_TWO_WORDS = ("SCRIPT", "XGROUP", "XINFO")


def refused_commands(client: Redis, prefix: str, commands: Iterable[str]) -> list[str]:
    """Those of `commands` (TRANSPORT, BATCHES) that the user of `client` may not call, as ACL rules name them.

    `prefix` is that of our keys: a right to a command without one to our keys is none.

    Raises:
        RedisError: the server cannot be reached.
    """
    key = f"{prefix}gm1:rights:{uuid.uuid4().hex}"
    lines = [line.split() for line in commands]
    with client.pipeline(transaction=False) as pipeline:
        pipe = cast(Any, pipeline)
        for words in lines:
            pipe.execute_command(*(key if word == "k" else word for word in words))
        pipe.execute_command("DEL", key)
        *answers, _ = pipe.execute(raise_on_error=False)
    return [_rule(words) for words, answer in zip(lines, answers, strict=True) if _is_refusal(answer)]


def _is_refusal(answer: object) -> bool:
    # A right to a channel is another matter: remote control has channels of its own.
    return isinstance(answer, NoPermissionError) and "channel" not in str(answer)


def _rule(words: list[str]) -> str:
    return "|".join(words[: 2 if words[0] in _TWO_WORDS else 1]).lower()


def grant(client: Redis, commands: Iterable[str]) -> str:
    """What to say of commands that the user of `client` may not call."""
    user = client.connection_pool.connection_kwargs.get("username") or "default"
    names = list(commands)
    rules = " ".join(f"+{name}" for name in names)
    return f"the user {user} may not call {', '.join(names)}: grant `ACL SETUSER {user} {rules}`, and the keys gm1:*"
