"""The one loader of Lua scripts: each changes the state of the server in one call, with named arguments.

A script begins with a head, which says its parameters and on which servers it runs, and the parts that it uses:

    --@ extend(consumer, seconds: number, again: flag, queues: list) frees
    --@ uses broker/lease server/clock

A parameter is a text, a `number`, a `flag` (true or false) or a `list` of texts; lists come last. A script that only
`reads` runs on a server that cannot write; one that `frees` memory, or leads to that, runs on a full server too, so
that the server drains. A part is a file that declares local functions, in the `lua` folder of a room; a script has each
part once, behind the parts that the part uses itself. Lua allows a function 200 local variables, so what only its own
part uses is local to the part.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ReadOnlyError

_ROOMS = Path(__file__).parent.parent
_HEAD = re.compile(r"^--@ (?P<name>\w+)\((?P<parameters>[^)]*)\)(?: (?P<flag>reads|frees))?$", re.MULTILINE)
_USES = re.compile(r"^--@ uses (.+)$", re.MULTILINE)
_WORD = re.compile(r"\w+")
_LOCAL = re.compile(r"^local (?:function )?(?P<names>\w+(?:, \w+)*)(?P<rest>.*)$", re.MULTILINE)
_FLAGS = {"reads": " flags=no-writes", "frees": " flags=allow-oom", None: ""}
_READ = {"text": "ARGV[{}]", "number": "tonumber(ARGV[{}])", "flag": "ARGV[{}] == '1'"}
_LIST = """local function texts(at)
  local items = {}
  for i = 1, tonumber(ARGV[at]) do items[i] = ARGV[at + i] end
  return items, at + 1 + #items
end
"""


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A script's whole text, the SHA-1 by which the server calls it, and the kinds of its parameters, by name."""

    text: str
    sha: str
    parameters: dict[str, str]

    def flat(self, prefix: str, arguments: dict[str, Any]) -> list[Any]:
        """The arguments in the order in which the script takes them.

        Raises:
            TypeError: an argument is missing, or the script has no such parameter.
        """
        if arguments.keys() != self.parameters.keys():
            raise TypeError(f"invalid arguments: {', '.join(arguments)} (expected {', '.join(self.parameters)})")
        values: list[Any] = [prefix]
        for name, kind in self.parameters.items():
            value = arguments[name]
            if kind == "list":
                items = list(value)
                values += (len(items), *items)
            else:
                values.append(int(value) if kind == "flag" else value)
        return values


@cache
def source(name: str) -> LuaScript:
    """The script `name`, which is `room/script`."""
    body = _read(name)
    head = _HEAD.search(body)
    if head is None:
        raise ValueError(f"invalid script: {name!r} (expected a head, as in the docstring of {__name__})")
    parameters = {}
    for parameter in filter(None, head["parameters"].split(", ")):
        word, _, kind = parameter.partition(": ")
        parameters[word] = kind or "text"
    parts = _parts(name)
    uses = Counter(chain.from_iterable(map(_words, [*parts, name])))
    blocks = "".join(_block(_read(part), uses) for part in parts)
    text = f"#!lua{_FLAGS[head['flag']]}\n{blocks}{_prologue(parameters)}{body}"
    return LuaScript(text, hashlib.sha1(text.encode()).hexdigest(), parameters)  # noqa: S324 - the server's name for it


@cache
def _read(name: str) -> str:
    room, _, script = name.rpartition("/")
    return (_ROOMS / room / "lua" / f"{script}.lua").read_text()


@cache
def _words(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_read(name)))


@cache
def _parts(name: str) -> tuple[str, ...]:
    """The parts that a script or a part uses, each behind those that it uses itself."""
    direct = " ".join(_USES.findall(_read(name))).split()
    return tuple(dict.fromkeys(part for one in direct for part in (*_parts(one), one)))


def _block(part: str, uses: Mapping[str, int]) -> str:
    """The text of a part as a block: it declares before the block, and for all, the names that others have too.

    `uses` says how many parts have a word, the script counted as one.
    """
    shared: list[str] = []

    def declare(line: re.Match[str]) -> str:
        names = line["names"].split(", ")
        if all(uses[name] == 1 for name in names):
            return line[0]
        shared.extend(names)
        function = line[0].startswith("local function")
        if not function and not line["rest"]:
            return ""
        return f"{'function ' if function else ''}{line['names']}{line['rest']}"

    text = _LOCAL.sub(declare, part)
    declaration = f"local {', '.join(shared)}\n" if shared else ""
    return f"{declaration}do\n{text}end\n"


def _prologue(parameters: dict[str, str]) -> str:
    """Lua that reads the parameters from ARGV; ARGV[1] is the key prefix."""
    scalars = [(word, kind) for word, kind in parameters.items() if kind != "list"]
    lines = [f"local {word} = {_READ[kind].format(at)}\n" for at, (word, kind) in enumerate(scalars, 2)]
    lists = [word for word, kind in parameters.items() if kind == "list"]
    if lists:
        lines += [_LIST, f"local following = {2 + len(scalars)}\n"]
        lines += [f"local {word}\n{word}, following = texts(following)\n" for word in lists]
    return "".join(lines)


def server_time(client: Redis, prefix: str) -> float:
    """The Unix time in seconds by which the scripts go: the server's clock, but it never goes back.

    Raises:
        RedisError: the server cannot be reached, or refuses.
    """
    return int(Scripts(client, prefix, "server").call("now")) / 1000


class Scripts:
    """The scripts of one room, called through one client and with one key prefix."""

    def __init__(self, client: Redis, prefix: str, room: str) -> None:
        self.client = client
        self.prefix = prefix
        self.room = room

    def source(self, name: str) -> LuaScript:
        """The script `name` of the room."""
        return source(f"{self.room}/{name}")

    def flat(self, name: str, **arguments: Any) -> list[Any]:
        """What EVALSHA of the script takes: its SHA-1, no keys, the key prefix and the arguments in their order."""
        script = self.source(name)
        return [script.sha, 0, *script.flat(self.prefix, arguments)]

    def load(self, name: str) -> None:
        """Load the script into the server."""
        self.client.script_load(self.source(name).text)

    def call(self, name: str, **arguments: Any) -> Any:
        """Run the script; if the server does not have it, load it first.

        Raises:
            RedisError: the server cannot be reached, or refuses.
            TypeError: an argument is missing, or the script has no such parameter.
        """
        flat = self.flat(name, **arguments)
        try:
            return self.client.evalsha(*flat)
        except NoScriptError:
            self.load(name)
            return self.client.evalsha(*flat)
        except ReadOnlyError:
            # Another server may be the primary by now, at the same address: only a new connection leads there.
            self.client.connection_pool.disconnect(inuse_connections=False)
            raise
