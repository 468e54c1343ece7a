"""The server's keys as a value: read whole, and put back whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.model.calls import Command
from tests.model.product import part
from tests.model.script_texts import CLOCK, PREFIX, TEAR, TOUCHED

#: Reads the keys that differ from those in SAVED, and makes them those again, and what scripts touched.
#: ARGV: prefix, SAVED, CLOCK, time, TEAR, TOUCHED.
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
redis.call('DEL', ARGV[5])
local touched = redis.call('SMEMBERS', ARGV[6])
redis.call('DEL', ARGV[6])
return {changes, touched}
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


#: A key that differs: its name, its DUMP (None: it is gone), its value.
Change = tuple[str, bytes | None, Any]


@dataclass(slots=True, eq=False)
class Snapshot:
    """The keys below the product's prefix: by whole name as DUMPs, and by part as Python values.

    States that differ only in what their actors know share it. `forms` is for whoever makes the form of a state.
    """

    keys: Keys = field(default_factory=dict)
    view: View = field(default_factory=dict)
    forms: Any = None


class Store:
    """The keys on one server. It makes commands, which somebody sends, and reads their answers."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know that the server is empty."""
        self._now, self._keys = 0, dict[str, bytes]()
        self._snapshots: dict[frozenset[tuple[str, bytes]], Snapshot] = {}

    def write(self, keys: Keys, now: int) -> list[Command]:
        """Make the server's keys and time these, unless they are."""
        if keys is self._keys and now == self._now:
            return []
        changes: list[Any] = []
        before = self._keys
        for name in before.keys() - keys.keys():
            changes += (name, "")
        for name, dump in keys.items():
            if before.get(name) is not dump:
                changes += (name, dump)
        self._keys, self._now = keys, now
        return [(("EVAL", _WRITE, 0, SAVED, CLOCK, now, *changes), {})]

    def read(self) -> Command:
        """Read the keys, and put back what `write` has written."""
        return ("EVAL", _READ, 0, PREFIX, SAVED, CLOCK, self._now, TEAR, TOUCHED), {"NEVER_DECODE": True}

    def changes(self, answer: Any) -> tuple[list[Change], list[str]]:
        """What `read` has read: the keys that differ, and the names of those that scripts touched."""
        if isinstance(answer, Exception):
            raise answer
        differing, touched = answer
        changes: list[Change] = []
        for name, *rest in differing:
            kind, dump, value = rest or (b"string", None, None)
            changes.append((name.decode(), dump, _decoded(kind.decode(), value)))
        return changes, [name.decode() for name in touched]

    def after(self, snapshot: Snapshot, changes: Sequence[Change]) -> Snapshot:
        """The keys after changes of others: the same object for the same keys."""
        keys = changed(snapshot.keys, changes)
        mark = frozenset(keys.items())
        if mark not in self._snapshots:
            view = snapshot.view.copy()
            for name, dump, value in changes:
                if dump is None:
                    del view[part(name)]
                else:
                    view[part(name)] = value
            self._snapshots[mark] = Snapshot(keys, view)
        return self._snapshots[mark]


def changed(keys: Keys, changes: Sequence[Change]) -> Keys:
    """The keys after changes."""
    after = keys.copy()
    for name, dump, _ in changes:
        if dump is None:
            del after[name]
        else:
            after[name] = dump
    return after


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
