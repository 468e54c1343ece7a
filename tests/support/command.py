"""Runs the real `gristmill` command: in a home of its own, from a directory that is not the project's."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gristmill.batches.info import BatchInfo
from gristmill.batches.ledger import Ledger
from gristmill.batches.reader import ResultReader
from gristmill.batches.result import Result
from gristmill.config.settings import load
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.connection import connect
from gristmill.server.home import Home, ServerFile
from gristmill.server.waiting import Policy
from tests.conftest import until
from tests.support.forked import GRISTMILL, popen, run_to_end
from tests.support.projects import write

#: Seconds for any one command that is waited for: a noisy machine's, not a claim about speed.
PATIENCE = 100.0
#: The line with which `gristmill up` says that it is ready.
READY = "Ctrl-C ends it"
#: Runs several commands in one process.
_EACH = """
import contextlib, io, json, sys
from gristmill.cli import main
for words in json.loads(sys.argv[1]):
    out, err, code, sys.argv = io.StringIO(), io.StringIO(), 0, ["gristmill", *words]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}))
"""
#: Every process of a place has this in its environment, whatever home it was given.
_MARK = "ACCEPTANCE_PLACE"


def first_in_path(folder: Path) -> str:
    """PYTHONPATH with a folder before those that it has."""
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its stdout, as the JSON lines that it is."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """Its stderr, which has to be one line for the person at the terminal."""
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("gristmill: "), self.err
        return lines[0]

    def refused(self, *words: str, code: int = 2) -> str:
        """Assert that it said no, in one line with all of `words`, and did nothing; answers that line."""
        assert (self.code, self.out) == (code, ""), self
        for word in words:
            assert word in self.complaint
        return self.complaint

    def good(self) -> "Done":
        """Assert that it ended with 0 and raised nothing on the way."""
        assert self.code == 0, self
        assert "Traceback" not in self.err, self.err
        return self


class Running:
    """A command that runs; what it prints is read once it has ended, or line by line before that."""

    def __init__(self, process: "subprocess.Popen[str]", err: Path) -> None:
        self.process, self._err = process, err

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def err(self) -> str:
        """What it said on stderr so far."""
        return self._err.read_text(errors="replace")

    def line(self) -> str:
        """Its next line on stdout; waits for it."""
        assert self.process.stdout
        line = b""
        # Byte by byte: what a buffer took beyond the line would be missing from what `end` reads.
        while not line.endswith(b"\n") and (byte := os.read(self.process.stdout.fileno(), 1)):
            line += byte
        return line.decode()

    def says(self, words: str, seconds: float = PATIENCE) -> None:
        """Wait until it has said `words` on stderr."""

        def said() -> bool:
            ended = self.process.poll() is not None
            if words in self.err:
                return True
            assert not ended, f"it ended with {self.process.returncode}: {self.err}"
            return False

        until(said, seconds, f"{words!r} on stderr")

    def end(self, number: int | None = None, seconds: float = PATIENCE) -> Done:
        """Send it a signal, if one is named, and wait for its end."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=seconds)
        return Done(self.process.returncode, out or "", self.err)


class Place:
    """A home, a directory to be in, and the processes that belong to them, which know the tasks in `modules`, if any.

    These are files, by the name of the module their text.
    """

    def __init__(self, path: Path, modules: Mapping[str, str] | None = None, **settings: str) -> None:
        self.path = path
        self.home = Home(path / "home")
        self.cwd = path / "elsewhere"
        self.cwd.mkdir(parents=True)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
        # With it, a command would hand over each line at once, whether its own code sees to that or not.
        self.environ.pop("PYTHONUNBUFFERED", None)
        self.environ |= {"GRISTMILL_HOME": str(self.home.path), _MARK: str(path), "GRISTMILL_DASHBOARD_PORT": "0"}
        if modules:
            folder = write(path / "modules", {f"{name}.py": text for name, text in modules.items()})
            self.environ |= {"PYTHONPATH": first_in_path(folder), "GRISTMILL_TASK_MODULES": ",".join(modules)}
        self.environ |= settings
        self._count = 0

    def run(self, *arguments: str, stdin: str | bytes | None = None, cwd: Path | None = None, **settings: str) -> Done:
        """Run `gristmill` with these arguments to its end."""
        return self.process([GRISTMILL, *arguments], stdin=stdin, cwd=cwd, **settings)

    def refused(self, cases: Sequence[tuple[Sequence[str], str]]) -> list[str]:
        """Assert that `gristmill` refuses the words of each case with the case's text, in one process; its answers."""
        commands = json.dumps([words for words, _ in cases])
        rows = self.process([sys.executable, "-c", _EACH, commands]).good().rows
        return [Done(**row).refused(text) for row, (_, text) in zip(rows, cases, strict=True)]

    def process(
        self, command: list[str], *, stdin: str | bytes | None = None, cwd: Path | None = None, **settings: str
    ) -> Done:
        """Run any command here to its end."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        code, out, err = run_to_end(command, data, cwd or self.cwd, {**self.environ, **settings}, PATIENCE)
        return Done(code, out.decode(), err.decode())

    def start(
        self, *arguments: str, cwd: Path | None = None, stdin: Any = None, stdout: Any = None, **settings: str
    ) -> AbstractContextManager[Running]:
        """Start `gristmill`; it is killed in the end if it still runs."""
        return self.started([GRISTMILL, *arguments], cwd=cwd, stdin=stdin, stdout=stdout, **settings)

    @contextmanager
    def started(
        self, command: list[str], *, cwd: Path | None = None, stdin: Any = None, stdout: Any = None, **settings: str
    ) -> Iterator[Running]:
        """Start any command here; it is killed in the end if it still runs."""
        self._count += 1
        err = self.path / f"stderr-{self._count}"
        with err.open("wb") as stream:
            process = popen(
                command,
                stdin=stdin or subprocess.DEVNULL,
                stdout=stdout or subprocess.PIPE,
                stderr=stream,
                cwd=cwd or self.cwd,
                env={**self.environ, **settings},
                text=True,
                # Its Ctrl-C is ours to send, and ours is not for it.
                start_new_session=True,
            )
        with process:
            try:
                yield Running(process, err)
            finally:
                with suppress(ProcessLookupError):
                    process.kill()

    @contextmanager
    def up(self, *arguments: str, cwd: Path | None = None, in_peace: bool = True, **settings: str) -> Iterator[Running]:
        """`gristmill up` while the context lasts; it has to end with 0 at Ctrl-C unless it was ended before.

        Nothing may have gone wrong in it, unless it is not left `in_peace`.
        """
        with self.start("up", *arguments, cwd=cwd, **settings) as running:
            running.says(READY)
            yield running
            if running.process.poll() is None:
                done = running.end(signal.SIGINT)
                assert done.code == 0, done
                assert "Traceback" not in done.err or not in_peace, done.err

    @contextmanager
    def server_only(self) -> Iterator[Running]:
        """The private server without any worker while the context lasts."""
        with self.started([sys.executable, "-P", "-m", "gristmill.server"]) as running:
            running.says("the server listens")
            yield running
            assert running.end(signal.SIGTERM).code == 0, running.err

    def file(self, name: str, content: str | bytes) -> str:
        """The path of a new file with that content."""
        path = self.path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger of the server that runs here."""
        # A server that is killed and comes back is waited for.
        with connect(self.server().url, Policy(PATIENCE)) as client:
            yield Ledger(client, load({}))

    def server(self) -> ServerFile:
        """What `server.json` says."""
        server = self.home.running()
        assert server, "no server is running"
        return server

    def names(self) -> list[str]:
        """The names of the batches on the server."""
        with self.ledger() as ledger:
            return ledger.names()

    def info(self, name: str) -> BatchInfo:
        """The counters of a batch."""
        with self.ledger() as ledger:
            return BatchInfo.from_fields(name, ledger.state(name))

    def ended(self, name: str, seconds: float = PATIENCE) -> BatchInfo:
        """The counters of a batch once nothing of it is open."""
        with self.ledger() as ledger:

            def ended() -> BatchInfo | None:
                info = BatchInfo.from_fields(name, ledger.state(name))
                return info if info.finished else None

            return until(ended, seconds, f"the end of batch {name}")

    def results(self, name: str) -> list[Result]:
        """The results of a batch, by index."""
        submitted = self.info(name).submitted
        with self.ledger() as ledger:
            return list(ResultReader(ledger.client, ledger.settings, name).in_order(0, submitted))

    def busy(self, queue: str) -> int:
        """Slots of a queue that run a message, by the workers' last beats."""
        with self.ledger() as ledger:
            return sum(
                worker.busy
                for worker in WorkerRegistry(ledger.client, ledger.settings).workers()
                if worker.queue == queue
            )

    def processes(self) -> list[psutil.Process]:
        """The processes that live here: by their environment, their directory or their command."""
        processes = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if self._lives_here(process) and process.status() != psutil.STATUS_ZOMBIE:
                    processes.append(process)
        return processes

    def pids(self) -> set[int]:
        """Of the processes that live here."""
        return {process.pid for process in self.processes()}

    def worker(self, kind: str) -> psutil.Process:
        """The main process of the worker of a kind, once there is one."""

        def main_process() -> psutil.Process | None:
            mains = [one for one in self.processes() if _command(one)[2:5] == ["-m", "gristmill.worker", kind]]
            pids = {one.pid for one in mains}
            return next((one for one in mains if _parent(one) not in pids), None)

        return until(main_process, what=f"a {kind} worker")

    def _lives_here(self, process: psutil.Process) -> bool:
        # A server writes its title over its environment.
        path = str(self.path)
        return process.environ().get(_MARK) == path or f"{process.cwd()}/".startswith(f"{path}/")

    def deserted(self, seconds: float = 60.0) -> None:
        """Assert that no process is left here within `seconds`; those that are left are killed."""
        try:
            until(lambda: not self.processes(), seconds)
        except AssertionError:
            left = {process.pid: " ".join(process.cmdline()) for process in self.processes()}
            raise AssertionError(f"left running after {seconds} s: {left}") from None
        finally:
            for process in self.processes():
                with suppress(psutil.Error):
                    process.kill()


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def _parent(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.ppid()
    return 0
