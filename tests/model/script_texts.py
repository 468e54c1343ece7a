"""The texts of the shipped scripts as the explorer runs them: with its clock, and noting what they touch."""

import re
from collections.abc import Callable

#: What the names of the product's keys begin with.
PREFIX = "m:"
#: The keys that the explorer sets: the time in ms, and after how many writes a script breaks off.
CLOCK, TEAR = "model:clock", "model:tear"
#: The key in which scripts note the names of all keys that they were about, whatever they did with them.
TOUCHED = "model:touched"

_CLOCK = re.compile(r"function server_microseconds\(\).*?\bend\n", re.DOTALL)
_NEW_CLOCK = f"function server_microseconds() return redis.call('GET', '{CLOCK}') * 1000 end\n"
#: The explorer's steps of time are long, and no gaps in the heartbeats.
_GAP, _NO_GAP = re.compile(r"\bGAP_MS = \d+"), "GAP_MS = math.huge"
#: A script that only reads could not note what it has read.
_READ_ONLY = "flags=no-writes"
#: What stands before and after a script: it runs whole, and then notes the names of the keys. A text that looks like a
#: name counts as one, which costs nothing but room.
_BEFORE = f"""local server, seen, touched = redis, {{}}, {{}}
local redis = {{}}
for name, value in pairs(server) do redis[name] = value end
local function noting(call)
  return function(...)
    for _, word in ipairs({{...}}) do
      if not seen[word] and string.sub(word, 1, {len(PREFIX)}) == '{PREFIX}' then
        seen[word], touched[#touched + 1] = true, word
      end
    end
    return call(...)
  end
end
redis.call, redis.pcall = noting(server.call), noting(server.pcall)
local function run()
"""
_AFTER = f"""
end
local answer = run()
if touched[1] then server.call('SADD', '{TOUCHED}', unpack(touched)) end
return answer
"""
#: A script breaks off after as many writes as TEAR says: as by an error of the server in the middle of it.
_TEARABLE = f"""local server, writes = redis, 0
local redis = {{}}
for name, value in pairs(server) do redis[name] = value end
redis.call = function(command, ...)
  local tear = tonumber(server.call('GET', '{TEAR}') or 0)
  if tear > 0 and string.find(' XADD XDEL DECRBY ', ' ' .. command .. ' ', 1, true) then
    if writes == tear then error('torn') end
    writes = writes + 1
  end
  return server.call(command, ...)
end
"""
#: Scripts that say that a part of them repeats messages and loses none.
TEARABLE = ("broker/dead_letters",)

Edit = Callable[[str], str]


def instrumented(name: str, text: str, edit: Edit) -> str:
    """The text of a script with the explorer's clock, which notes the keys that it touches, changed by `edit`."""
    head, _, body = edit(_GAP.sub(_NO_GAP, _CLOCK.sub(lambda _: _NEW_CLOCK, text))).partition("\n")
    return f"{head.replace(_READ_ONLY, '')}\n{_BEFORE}{_TEARABLE if name in TEARABLE else ''}{body}{_AFTER}"
