"""The Lua scripts of the transport: each state change of messages is one call."""

from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis
from redis.commands.core import Script

LUA = Path(__file__).parent / "lua"
#: Refused on a full server, so that producers wait; every other script gives memory back, or leads to it.
_REFUSED_WHEN_FULL = frozenset({"delay"})


@cache
def text(name: str) -> str:
    """The whole text of the script `name`: its shebang, what all of them share, and its own file."""
    shebang = "#!lua" if name in _REFUSED_WHEN_FULL else "#!lua flags=allow-oom"
    return "\n".join([shebang, *((LUA / f"{part}.lua").read_text() for part in ("queue", "holding", name))])


class Scripts:
    """The scripts, called through one client below one key prefix."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self.client = client
        self.prefix = prefix
        self._scripts: dict[str, Script] = {}

    def sha(self, name: str) -> str:
        """The name under which the server knows the script once it is loaded."""
        return self._script(name).sha

    def load(self, name: str) -> None:
        """Load the script into the server."""
        self.client.script_load(text(name))

    def call(self, name: str, *arguments: Any) -> Any:
        """Run the script; it is loaded into the server when that lacks it."""
        return self._script(name)(args=[self.prefix, *arguments])

    def _script(self, name: str) -> Script:
        if name not in self._scripts:
            self._scripts[name] = self.client.register_script(text(name))
        return self._scripts[name]
