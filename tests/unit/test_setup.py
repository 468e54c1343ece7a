"""A setup: once in each process, whoever asks; once on each event loop; not again at once after a failure."""

import asyncio
import threading

import pytest

from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.setup_failures import setup_failures
from gristmill.tasks import setup as task_setup
from gristmill.tasks.setup import Setup, SetupFailed, setup_of


def test_threads_wait_for_the_one_run_of_a_setup():
    runs, release = [], threading.Event()

    def load():
        release.wait(30)
        runs.append(1)

    setup, ran = Setup(load), []
    threads = [threading.Thread(target=lambda: ran.append(setup.run())) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert ran == []
    release.set()
    for thread in threads:
        thread.join(30)
    assert (runs, sorted(ran)) == ([1], [False] * 7 + [True])


def test_a_setup_that_failed_is_not_called_again_at_once(monkeypatch):
    calls = []

    def load():
        calls.append(1)
        if len(calls) < 3:
            raise LookupError("no model")

    setup = Setup(load)
    for _ in range(2):
        with pytest.raises(SetupFailed, match=r"^LookupError in load\(\): no model$") as failure:
            setup.run()
        assert isinstance(failure.value.__cause__, LookupError)
    assert len(calls) == 1
    monkeypatch.setattr(task_setup.time, "monotonic", lambda: 1e12)
    with pytest.raises(SetupFailed):
        setup.run()
    monkeypatch.setattr(task_setup.time, "monotonic", lambda: 2e12)
    assert [setup.run(), setup.run(), len(calls)] == [True, False, 3]


def test_a_coroutine_function_runs_once_on_each_loop():
    loops = []

    async def connect():
        loops.append(asyncio.get_running_loop())

    setup = Setup(connect)
    for _ in range(2):
        with asyncio.Runner() as runner:
            assert [setup.run_on(runner.get_loop(), runner.run) for _ in range(2)] == [True, False]
    assert len(set(loops)) == len(loops) == 2


def test_tasks_with_one_setup_share_its_run():
    def load():
        """Do nothing."""

    assert Setup.of(load) is Setup.of(load)


def _plain():
    """Do nothing."""


async def _async():
    """Do nothing."""


@pytest.mark.parametrize(
    ("function", "is_async", "preload", "name"),
    [
        (lambda model: model, False, False, "setup"),
        (3, False, False, "setup"),
        ([], False, False, "setup"),
        (_async, False, False, "setup"),
        (None, False, True, "preload"),
    ],
)
def test_what_cannot_run_is_refused_with_the_tasks_name(function, is_async, preload, name):
    with pytest.raises(TypeError, match=f"^task 'classify': invalid value for {name}: .* \\(expected "):
        setup_of(function, is_async, preload, "classify")


@pytest.mark.parametrize(("function", "is_async"), [(_plain, False), (_plain, True), (_async, True)])
def test_what_can_run_is_a_setup(function, is_async):
    assert setup_of(function, is_async, False, "classify").function is function


def test_failures_are_told_by_task_with_the_workers():
    tasks = {"classify": "f", "other": "f"}
    failing = [
        LiveWorker(name, queue="cpu", tasks=tasks, setup_failures={"classify": error})
        for name, error in (("cpu@a", "LookupError"), ("cpu@b", "OSError"))
    ]
    (failure,) = setup_failures(failing)
    assert (failure.queue, failure.task, failure.error) == ("cpu", "classify", "LookupError")
    assert (failure.workers, failure.others) == (("cpu@a", "cpu@b"), 0)
    others = [LiveWorker("cpu@c", queue="cpu", tasks=tasks), LiveWorker("io@c", queue="io", tasks=tasks)]
    assert [failure.others for failure in setup_failures([*failing, *others])] == [1]
