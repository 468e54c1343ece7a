"""A kill whose process still lives is looked at again soon, in the worker's event loop."""

import os
import time
from types import SimpleNamespace

from kombu.asynchronous import Hub

from gristmill.worker import kills
from gristmill.worker.kills import LOOK_SECONDS, Kills


def test_the_second_look_waits_for_no_event(monkeypatch):
    looks = []
    monkeypatch.setattr(kills, "end_item", lambda *_: looks.append(time.monotonic()) or len(looks) > 1)
    hub = Hub()
    reader, writer = os.pipe()
    try:
        # Nothing happens in this loop but what the kill asks for.
        hub.add_reader(reader, lambda: None)
        hub.call_repeatedly(30, lambda: None)
        those = Kills(SimpleNamespace(hub=hub, pool=None))
        those.learn(["b#0"], [])
        loop, deadline = hub.create_loop(), time.monotonic() + 10
        while not those.ended() and time.monotonic() < deadline:
            next(loop)
        assert those.ended() == ["b#0"]
        assert LOOK_SECONDS <= looks[1] - looks[0] < 5 * LOOK_SECONDS
    finally:
        hub.close()
        os.close(reader)
        os.close(writer)
