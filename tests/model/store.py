"""The server's keys as a value: read whole, and put back whole."""

from dataclasses import dataclass, field
from typing import Any

from tests.model.calls import Command
from tests.model.product import CLOCK, PREFIX, part

#: Reads the keys that differ from those in SAVED, and makes them those again. ARGV: prefix, SAVED, CLOCK, the time.
_READ = """
local function value_of(name, kind)
  if kind == 'string' then return redis.call('GET', name)
  elseif kind == 'hash' then return redis.call('HGETALL', name)
  elseif kind == 'zset' then return redis.call('ZRANGE', name, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then return redis.call('SMEMBERS', name)
  else return redis.call('XINFO', 'STREAM', name, 'FULL', 'COUNT', 0) end
end
local saved, flat, changes = {}, redis.call('HGETALL', ARGV[2]), {}
for i = 1, #flat, 2 do saved[flat[i]] = flat[i + 1] end
for _, name in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local dump, before = redis.call('DUMP', name), saved[name]
  if dump ~= before then
    local kind = redis.call('TYPE', name).ok
    changes[#changes + 1] = {name, kind, dump, value_of(name, kind)}
    if before then redis.call('RESTORE', name, 0, before, 'REPLACE') else redis.call('DEL', name) end
  end
  saved[name] = nil
end
for name, before in pairs(saved) do
  changes[#changes + 1] = {name}
  redis.call('RESTORE', name, 0, before)
end
redis.call('SET', ARGV[3], ARGV[4])
return changes
"""
#: Makes the keys other ones. ARGV: SAVED, CLOCK, the time, then of each key that differs: name, DUMP ('': none).
_WRITE = """
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('DEL', ARGV[i])
    redis.call('HDEL', ARGV[1], ARGV[i])
  else
    redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1], 'REPLACE')
    redis.call('HSET', ARGV[1], ARGV[i], ARGV[i + 1])
  end
end
redis.call('SET', ARGV[2], ARGV[3])
"""
SAVED = "model:saved"


@dataclass(slots=True)
class Stream:
    """A stream: its entries by id, and what its one group has: who holds which, and up to which id it was read."""

    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    consumers: list[str] = field(default_factory=list)
    read_to: str = ""


Keys = dict[str, bytes]
View = dict[str, Any]


class Store:
    """The keys below the product's prefix on one server, as their DUMPs and as Python values.

    It makes commands, which somebody sends, and reads their answers.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know that the server is empty."""
        self._keys: Keys = {}
        self._view: View = {}
        self._now = 0

    def write(self, keys: Keys, view: View, now: int) -> Command:
        """Make the server's keys and time these; `view` has the same keys as Python values."""
        changes: list[Any] = []
        for name in self._keys.keys() - keys.keys():
            changes += (name, "")
        for name, dump in keys.items():
            if self._keys.get(name) is not dump:
                changes += (name, dump)
        self._keys, self._view, self._now = keys, view, now
        return ("EVAL", _WRITE, 0, SAVED, CLOCK, now, *changes), {}

    def read(self) -> Command:
        """Read the keys, and put back what `write` has written."""
        return ("EVAL", _READ, 0, PREFIX, SAVED, CLOCK, self._now), {"NEVER_DECODE": True}

    def values(self, answer: Any) -> tuple[Keys, View]:
        """What `read` has read: by whole name as DUMPs, and by part as Python values."""
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            return self._keys, self._view
        keys, view = self._keys.copy(), self._view.copy()
        for raw_name, *rest in answer:
            name = raw_name.decode()
            short = part(name)
            if rest:
                kind, keys[name], value = rest
                view[short] = _decoded(kind.decode(), value)
            else:
                del keys[name], view[short]
        return keys, view


def _decoded(kind: str, value: Any) -> Any:
    if kind == "string":
        return value
    if kind == "hash":
        return _pairs(value)
    if kind == "zset":
        return [(member.decode(), float(score)) for member, score in zip(value[::2], value[1::2], strict=True)]
    if kind == "stream":
        return _stream(value)
    return [each.decode() for each in value]


def _pairs(flat: list[bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _stream(flat: Any) -> Stream:
    info = dict(zip(flat[::2], flat[1::2], strict=True))
    stream = Stream({identity.decode(): _pairs(fields) for identity, fields in info[b"entries"]})
    for group in info[b"groups"]:
        fields = dict(zip(group[::2], group[1::2], strict=True))
        stream.read_to = fields[b"last-delivered-id"].decode()
        stream.pending = {identity.decode(): owner.decode() for identity, owner, *_ in fields[b"pending"]}
        stream.consumers = sorted(c[1].decode() for c in fields[b"consumers"])
    return stream


def bits(bitmap: bytes | None) -> frozenset[int]:
    """The places of the bits that are set."""
    return frozenset(
        8 * at + place for at, byte in enumerate(bitmap or b"") for place in range(8) if byte & 128 >> place
    )
