"""A small server takes any number of items while their results are read and removed."""

import os
import signal
import subprocess
import time

import pytest

from gristmill.server.connection import connect
from tests.support.command import GRISTMILL

MEMORY = 64 << 20
COUNT, LENGTH = 68_000, 4000

#: A task that makes outcomes as large as items.
ECHO = '''
"""Returns what it is given."""

from gristmill.tasks.kinds import cpu


@cpu
def echo(text: str) -> str:
    """Return it."""
    return text
'''


@pytest.fixture
def small(place):
    """A place where a fleet runs with a small server and the task `echo`."""
    modules = place.path / "modules"
    modules.mkdir()
    (modules / "echoing.py").write_text(ECHO)
    place.environ |= {
        "GRISTMILL_SERVER_MEMORY": str(MEMORY),
        "GRISTMILL_TASK_MODULES": "echoing",
        "PYTHONPATH": os.pathsep.join([str(modules), os.environ.get("PYTHONPATH", "")]),
    }
    return place


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_four_times_its_memory_in_items(small, record_property):
    """As many bytes of outcomes come on top."""
    assert COUNT * LENGTH > 4 * MEMORY
    seen, peak, begun = bytearray(COUNT), 0, time.monotonic()
    with small.up("cpu", "--cpu-slots", "2"), connect(small.server().url) as client:
        # Each item is its number, with zeros before it.
        shell = f'seq -f %0{LENGTH}.0f 0 {COUNT - 1} | "$0" run echo --from - --name x --consume'
        with small.started(["bash", "-o", "pipefail", "-c", shell, GRISTMILL]) as running:
            for number, line in enumerate(running.process.stdout):
                head, _, rest = line.partition(',"input":"')
                index = int(head.removeprefix('{"index":'))
                seen[index] += 1
                assert rest.startswith(f'{index:0{LENGTH}}","state":"succeeded","value":"{index:0{LENGTH}}"')
                if number % 1000 == 0:
                    peak = max(peak, client.info("memory")["used_memory"])
            done = running.end().good()
        left = client.info("memory")["used_memory"]
        info = small.info("x")
    figures = f"{COUNT * LENGTH >> 20} MiB of items, at most {peak >> 20} MiB used, {time.monotonic() - begun:.0f} s"
    record_property("figures", figures)
    print(figures)  # noqa: T201 (shown by `pytest -rP`)
    assert seen == bytes([1]) * COUNT, "each result is printed once"
    assert (info.submitted, info.succeeded, info.left, info.consumed) == (COUNT, COUNT, 0, COUNT), info
    assert peak < MEMORY, figures
    assert left < 16 << 20, "nothing of it stays but small keys"
    assert "waiting for room" in done.err


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_a_reader_it_waits_and_says_what_to_do(small):
    shell = f'seq -f %0{LENGTH}.0f 0 {COUNT - 1} | exec "$0" submit echo --from - --name x'
    with small.server_only(), small.started(["bash", "-c", shell, GRISTMILL]) as running:
        running.says("results --follow --consume")
        stored = small.info("x").submitted
        assert 0 < stored < COUNT
        with connect(small.server().url) as client:
            assert 0.7 * MEMORY < client.info("memory")["used_memory"] < 0.8 * MEMORY
        (gristmill,) = [one for one in small.processes() if one.cmdline()[1:3] == [GRISTMILL, "submit"]]
        gristmill.send_signal(signal.SIGINT)
        done = running.end()
        assert done.code == 130
        assert f"{small.info('x').submitted:,} items are stored, and the same command with --name x goes on" in done.err
        assert small.info("x").submitted < stored + 1000, "there was no room for more"
        with subprocess.Popen(
            ["seq", "-f", f"%0{LENGTH}.0f", "0", f"{COUNT - 1}"], stdout=subprocess.PIPE, cwd=small.cwd
        ) as seq:
            command = ("submit", "echo", "--from", "-", "--name", "x", "--max-wait", "2")
            with small.start(*command, stdin=seq.stdout) as again:
                seq.stdout.close()
                done = again.end()
        assert done.code == 124
        assert "still after 2 s" in done.err
