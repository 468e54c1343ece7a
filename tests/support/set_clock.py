"""A server's clock that a test sets: every script reads it from a key, as the explorer's scripts do."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

from gristmill.server import scripts

#: When the clock of a test begins, ms: the noon before the clocks of Europe change, in UTC.
NOON = round(1000 * datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp())
_CLOCK = re.compile(r"function server_microseconds\(\).*?\bend\n", re.DOTALL)


class SetClock:
    """The time by which all scripts go, in ms."""

    def __init__(self, client, key, now):
        self._client, self._key = client, key
        self.set(now)

    def set(self, now):
        self.now = now
        self._client.set(self._key, now)

    def pass_by(self, seconds):
        self.set(self.now + round(1000 * seconds))


@contextmanager
def set_clock(client, settings, now):
    """The clock of all scripts below the prefix of `settings`, which begins at `now` (ms)."""
    key, source = settings.key("test_clock"), scripts.source
    code = f"function server_microseconds() return redis.call('GET', '{key}') * 1000 end\n"

    def edited(name):
        script = source(name)
        text = _CLOCK.sub(code, script.text)
        return scripts.LuaScript(text, scripts.hashlib.sha1(text.encode()).hexdigest(), script.parameters)

    with mock.patch.object(scripts, "source", edited):
        yield SetClock(client, key, now)
