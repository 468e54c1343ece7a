"""Ctrl-C while a fleet starts: what has started ends while the home still belongs to the fleet."""

import pytest

from gristmill.config.settings import settings
from gristmill.local import fleet
from gristmill.local.processes import Child
from gristmill.server.home import Home


@pytest.mark.parametrize("has_private_server", [False, True], ids=["server of one's own", "private server"])
def test_a_worker_that_has_started_ends_before_the_home_is_free(tmp_path, monkeypatch, has_private_server):
    started, holders = [], []

    class Interrupted(Child):
        def start(self):
            if started:
                raise KeyboardInterrupt
            started.append(self)
            super().start()

        def kill(self):
            super().kill()
            holders.append(Home(settings().home).holder())

    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    if not has_private_server:
        monkeypatch.setenv("GRISTMILL_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(tmp_path))
    settings.cache_clear()
    monkeypatch.setattr(fleet, "Child", Interrupted)
    with pytest.raises(KeyboardInterrupt), fleet.LocalFleet("a test", {"cpu": 1, "io": 1}):
        pass
    (worker,) = started
    assert not worker.alive
    assert holders
    assert holders[0] is not None
    assert Home(settings().home).holder() is None
    settings.cache_clear()
