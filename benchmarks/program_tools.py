"""Tools that run a program for each line of a file, ours among them, two at a time."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.environment import programs

GRISTMILL = [sys.executable, "-P", "-m", "gristmill"]
#: Ours, which find a fleet and start one.
OURS = ("run beside up", "run")
#: Runs a command for each line of a file.
Tool = Callable[[list[str], Path], None]
_HYPERQUEUE = """
import sys
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
words, path = sys.argv[2:], sys.argv[1]
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client, job = cluster.client(), Job()
    for line in open(path):
        job.program([*words, line.strip()], stdout=None, stderr=None)
    client.wait_for_jobs([client.submit(job)])
"""


def _call(*words: str, stdin: Path | None = None, **variables: str) -> None:
    with (stdin or Path(os.devnull)).open() as source, tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            words, stdin=source, stdout=subprocess.DEVNULL, stderr=errors, env={**os.environ, **variables}, check=False
        )
        errors.seek(0)
        log = errors.read().decode(errors="replace")
        # HyperShell ends with 0 although it has run nothing.
        if done.returncode or "ERROR" in log:
            raise SystemExit(f"{words[0]} ended with {done.returncode}: {log[-2000:]}")


def _xargs(words: list[str], path: Path) -> None:
    _call("xargs", "-P2", "-n1", *words, stdin=path)


def _parallel(words: list[str], path: Path) -> None:
    _call("parallel", "-j2", shlex.join(words), "::::", str(path))


def _hypershell(words: list[str], path: Path) -> None:
    # In bundles of 100 and without its database: its fastest way.
    options = ("-N2", "-b100", "--no-db", "--no-confirm", "--no-tls", "-t", f"{shlex.join(words)} {{}}")
    _call(str(programs("hypershell") / "hs"), "cluster", str(path), *options)


def _hyperqueue(words: list[str], path: Path) -> None:
    _call(str(programs("hyperqueue") / "python"), "-c", _HYPERQUEUE, str(path), *words)


def _run(words: list[str], path: Path, home: str = "") -> None:
    with tempfile.TemporaryDirectory() as own:
        _call(*GRISTMILL, "run", "--quiet", "--from", str(path), "--", *words, **settings_of(home or own))


def settings_of(home: str) -> dict[str, str]:
    """The environment of a fleet with two slots in that home."""
    return {"GRISTMILL_HOME": home, "GRISTMILL_CPU_SLOTS": "2"}


@contextmanager
def fleet() -> Iterator[str]:
    """The home of a fleet with two slots."""
    with tempfile.TemporaryDirectory() as home:
        command = [*GRISTMILL, "up", "cpu"]
        environ = {**os.environ, **settings_of(home)}
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as up:
            assert up.stderr is not None
            for line in up.stderr:
                if "Ctrl-C ends it" in line:
                    break
            try:
                yield home
            finally:
                up.terminate()
                up.communicate()


def tools(names: list[str], home: str) -> dict[str, Tool]:
    """The tools to measure."""
    every: dict[str, Tool] = {
        "xargs": _xargs,
        "run beside up": lambda words, path: _run(words, path, home),
        "run": _run,
        "parallel": _parallel,
        "hypershell": _hypershell,
        "hyperqueue": _hyperqueue,
    }
    if not shutil.which("parallel"):
        every.pop("parallel")
    contenders = {name: tool for name, tool in every.items() if not names or name in names}
    for name in ("hypershell", "hyperqueue"):
        if name in contenders:
            # To install it takes none of its time.
            programs(name)
    return contenders
