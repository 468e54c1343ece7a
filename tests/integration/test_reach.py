"""What autoscale does to containers and commands: which go, in which order, and what when it fails."""

import json
import os
import sys

import pytest

from gristmill.errors import InputError
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local import reach
from gristmill.local.compose import compose_here
from gristmill.local.reach import ScalingFailed, SizingCommand
from gristmill.server.home import Home

#: A `docker` with a file of containers, by service. As Compose does, it removes those with the highest numbers.
DOCKER = """#!{python}
import json, pathlib, sys

state = pathlib.Path({state!r})
words, services = sys.argv[1:], json.loads(state.read_text())
if services.get("broken"):
    sys.exit("first line\\nno engine here")
assert words[0] == "compose", words
if words[1] == "ps":
    for service, numbers in services.items():
        for number in numbers:
            labels = f"a=b,com.docker.compose.container-number={{number}}"
            identity = f"{{service}}{{number}}".ljust(12, "0") + "ff"
            print(json.dumps({{"Service": service, "ID": identity, "Labels": labels}}))
else:
    assert words[1:5] == ["up", "-d", "--no-recreate", "--no-deps"], words
    for at, word in enumerate(words):
        if word == "--scale":
            service, _, count = words[at + 1].partition("=")
            numbers = sorted(services[service])[: int(count)]
            while len(numbers) < int(count):
                numbers.append(max(numbers, default=0) + 1)
            services[service] = numbers
    state.write_text(json.dumps(services))
"""


class Engine:
    """The engine, and workers in its containers."""

    def __init__(self, ledger, path):
        self.ledger, self.state = ledger, path / "state"
        self.registry = WorkerRegistry(ledger.client, ledger.settings)
        self.set(cpu=[], io=[])
        docker = path / "docker"
        docker.write_text(DOCKER.format(python=sys.executable, state=str(self.state)))
        docker.chmod(0o755)

    def set(self, **services):
        self.state.write_text(json.dumps(services))

    def numbers(self, service):
        return json.loads(self.state.read_text())[service]

    def beat(self, queue, number, slots=4, busy=0, held=False):
        """A heartbeat of the worker in a container; what is asked of it."""
        host = f"{queue}{number}".ljust(12, "0")
        details = {"host": host, "queue": queue, "slots": 0 if held else slots, "busy": busy, "draining": held}
        return self.ledger.heartbeat(f"{queue}@{host}/1", details, [])[4]

    def apply(self, **slots):
        for queue in ("cpu", "io"):
            self.services.step(queue, self.registry.workers(), 4)
        self.services.apply({"cpu": 0, "io": 0} | slots, self.registry.workers())


@pytest.fixture
def engine(ledger, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    engine = Engine(ledger, tmp_path)
    engine.services = compose_here(engine.registry)
    return engine


def test_containers_start_for_as_many_slots(engine):
    engine.beat("io", 1)
    engine.set(cpu=[], io=[1])
    engine.apply(io=9)
    assert engine.numbers("io") == [1, 2, 3]
    engine.apply(io=9)
    assert (engine.numbers("io"), engine.numbers("cpu")) == ([1, 2, 3], [])


def test_the_last_ones_drain_and_go_once_they_are_idle(engine):
    engine.set(cpu=[], io=[1, 2, 3])
    for number in (1, 2, 3):
        assert not engine.beat("io", number, busy=1).is_held
    engine.apply(io=4)
    assert engine.numbers("io") == [1, 2, 3], "nothing goes that runs an item"
    wishes = [engine.beat("io", number, busy=1, held=number > 1).is_held for number in (1, 2, 3)]
    assert wishes == [False, True, True]
    engine.beat("io", 2, busy=0, held=True)
    engine.apply(io=4)
    assert engine.numbers("io") == [1, 2, 3], "Compose would remove the third one"
    engine.beat("io", 3, busy=0, held=True)
    engine.beat("io", 2, busy=1, held=True)
    engine.apply(io=4)
    assert engine.numbers("io") == [1, 2]
    engine.beat("io", 2, busy=0, held=True)
    engine.apply(io=4)
    assert engine.numbers("io") == [1]


def test_one_that_is_wanted_again_takes_messages_again(engine):
    engine.set(cpu=[], io=[1, 2])
    for number in (1, 2):
        engine.beat("io", number, busy=1)
    engine.apply(io=4)
    assert engine.beat("io", 2, busy=1, held=True).is_held
    engine.apply(io=8)
    assert not engine.beat("io", 2, busy=1, held=True).is_held
    assert engine.numbers("io") == [1, 2]


def test_what_an_operator_drained_stays_drained(engine):
    engine.set(cpu=[], io=[1, 2])
    engine.beat("io", 1)
    engine.beat("io", 2, held=True)
    engine.registry.drain(f"io@{'io2'.ljust(12, '0')}/1")
    engine.apply(io=8)
    assert engine.beat("io", 2, held=True).is_held


def test_an_engine_that_fails_says_why_and_works_later(engine):
    engine.set(cpu=[], io=[], broken=True)
    with pytest.raises(ScalingFailed, match="no engine here"):
        engine.apply(io=4)
    assert compose_here(engine.registry) is None
    engine.set(cpu=[], io=[])
    engine.apply(io=4)
    assert engine.numbers("io") == [1]


def test_the_slots_of_a_container_are_those_that_its_worker_told(engine):
    assert engine.services.step("cpu", [], 0) == 1
    assert engine.services.step("io", [], 0) == 64
    assert engine.services.step("io", [], 16) == 16
    engine.set(cpu=[], io=[1, 2])
    engine.services.look()
    engine.beat("io", 1, slots=8)
    engine.beat("io", 2, held=True)
    assert engine.services.step("io", engine.registry.workers(), 16) == 8


def test_a_command_is_called_when_its_numbers_change_and_again_when_it_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(reach, "FIRST_WAIT", 0.0)
    calls, fails = tmp_path / "calls", tmp_path / "fails"
    code = (
        f"import pathlib, sys; pathlib.Path({str(calls)!r}).open('a').write(' '.join(sys.argv[1:]) + '\\n'); "
        f"sys.exit(pathlib.Path({str(fails)!r}).exists() and 'not now')"
    )
    (tmp_path / "size.py").write_text(code)
    command = SizingCommand(f"{sys.executable} {tmp_path}/size.py '--cpu={{cpu}} of it' {{io}}")
    fails.touch()
    for _ in range(2):
        with pytest.raises(ScalingFailed, match="code 1: not now"):
            command.apply({"cpu": 3, "io": 64}, [])
        monkeypatch.setattr(command, "_again_at", 0.0)
    fails.unlink()
    for slots in ({"cpu": 3, "io": 64}, {"cpu": 3, "io": 64}, {"cpu": 4, "io": 64}):
        command.apply(slots, [])
    assert calls.read_text().splitlines() == ["--cpu=3 of it 64"] * 3 + ["--cpu=4 of it 64"]


@pytest.mark.parametrize("text", ["", "size 8", "size '{cpu}"])
def test_what_is_no_command(text):
    with pytest.raises(InputError, match="invalid value for --exec"):
        SizingCommand(text)


def test_a_program_that_is_not_there():
    with pytest.raises(ScalingFailed, match="no-such-program"):
        SizingCommand("no-such-program {cpu}").apply({"cpu": 1, "io": 1}, [])


def test_pools_of_an_up_that_does_not_run(ledger, tmp_path):
    registry = WorkerRegistry(ledger.client, ledger.settings)
    ledger.heartbeat("cpu@a/1", {"host": "a", "pid": 1, "queue": "cpu", "slots": 2}, [])
    pools = reach.OwnPools(Home(tmp_path / "home"), registry)
    assert pools.workers(registry.workers()) == []
    pools.apply({"cpu": 4, "io": 4}, registry.workers())
    assert ledger.heartbeat("cpu@a/1", {"queue": "cpu", "slots": 2}, [])[4].slots is None
