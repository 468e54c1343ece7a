"""The method by which a worker starts its processes: of the setting, for the worker of a queue."""

import pytest

from gristmill.config.settings import Settings, load
from gristmill.config.start_methods import methods_of, parse
from gristmill.errors import SettingError
from gristmill.worker.pool import start_method as module
from gristmill.worker.pool.start_method import check_method, start_method


def test_a_queue_has_its_own_method_or_that_of_all():
    text = " fork , gpu = spawn,sim=forkserver"
    assert parse(text) == {"": "fork", "gpu": "spawn", "sim": "forkserver"}
    assert methods_of(text, ["gpu"]) == {"spawn"}
    assert methods_of(text, ["cpu"]) == {"fork"}
    assert methods_of(text, ["cpu", "sim"]) == {"fork", "forkserver"}
    assert methods_of("gpu=spawn", ["cpu"]) == {"fork"}
    assert methods_of("spawn", []) == {"spawn"}


@pytest.mark.parametrize(
    "text", ["", "thread", "FORK", "gpu=", "=spawn", "gpu:spawn", "fork,", "fork,spawn", "a b=fork", "gpu=a=fork"]
)
def test_a_bad_text_is_refused_with_the_name_of_the_setting(text):
    with pytest.raises(ValueError, match="no start method"):
        parse(text)
    if text:
        with pytest.raises(SettingError, match=r"GRISTMILL_START_METHOD.*forkserver"):
            load({"GRISTMILL_START_METHOD": text})


@pytest.fixture
def setting(monkeypatch):
    def use(text):
        monkeypatch.setattr(module, "settings", lambda: Settings(start_method=text))

    return use


def test_a_worker_of_several_queues_has_one_method(setting):
    setting("gpu=spawn,sim=spawn")
    assert start_method(["gpu", "sim"]) == "spawn"
    with pytest.raises(SettingError, match=r"GRISTMILL_START_METHOD.*cpu, gpu"):
        start_method(["gpu", "cpu"])


def test_threads_have_no_method_of_their_own(setting):
    setting("spawn,mail=fork")
    check_method(["io"], has_processes=False)
    with pytest.raises(SettingError, match="mail"):
        check_method(["mail"], has_processes=False)


def test_a_fork_server_needs_a_worker_that_adopts(setting, monkeypatch):
    setting("gpu=forkserver")
    monkeypatch.setattr(module, "is_subreaper", lambda: False)
    check_method(["cpu"], has_processes=True)
    with pytest.raises(SettingError, match="forkserver needs Linux"):
        check_method(["gpu"], has_processes=True)
    monkeypatch.setattr(module, "is_subreaper", lambda: True)
    check_method(["gpu"], has_processes=True)
