"""`--joblog`: a line for each program that has ended, in the form of GNU parallel."""

import os
import shlex
import signal
from pathlib import Path
from typing import Any, Self

from gristmill.batches.result import Result
from gristmill.cli.output.program_output import outcome_of
from gristmill.errors import GristmillError, InputError
from gristmill.tasks.program.template import Template

_COLUMNS = ("Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command")


class Joblog:
    """The file at `path`, which is written anew; `command` has the fields of the batch's CommandLine.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: str, command: dict[str, Any]) -> None:
        self._template = Template.parse(command["words"], shell=command["shell"])
        self._path = path
        try:
            # A buffer would still have what a full disk refused when the file is closed.
            self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115 (a context manager closes it)
            self._write(*_COLUMNS)
        except OSError as error:
            expected = f"a file that can be written; {error.strerror}"
            raise InputError(f"invalid value for --joblog: {path!r} (expected {expected})") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        """Write the line of a result; an item that did not run has none.

        Raises:
            GristmillError: the file cannot be written any more.
        """
        if result.worker is None:
            return
        try:
            self._write(*self._line(result))
        except OSError as error:
            raise GristmillError(f"cannot write on to --joblog {self._path!r}: {error.strerror}") from None

    def _write(self, *columns: str) -> None:
        line = os.fsencode("\t".join(columns) + "\n")
        while line:
            line = line[self._file.write(line) :]

    def _line(self, result: Result) -> tuple[str, ...]:
        outcome = outcome_of(result) or {}
        number = _number(outcome.get("signal"))
        code = outcome.get("exit")
        if code is None:
            # As parallel: -1 where its time was over, or it has none.
            code = 0 if number and (result.error or {}).get("type") == "ProgramFailed" else -1
        return (
            str(result.index + 1),
            (result.worker or "").partition("@")[2] or ":",
            f"{outcome.get('started', 0):.3f}",
            f"{outcome.get('seconds', result.seconds):10.3f}",
            "0",
            str(_size(outcome.get("stdout", ""))),
            str(code),
            str(number),
            self._command(result, outcome),
        )

    def _command(self, result: Result, outcome: dict[str, Any]) -> str:
        values = result.input["input"] if isinstance(result.input, dict) else result.input
        words = self._template.fill(values, index=result.index, slot=outcome.get("slot", 0))
        line = words[-1].strip() if self._template.shell else shlex.join(words)
        # As parallel: a command is one line of the file.
        return line.replace("\n", "\0")


def _number(name: str | None) -> int:
    if name is None:
        return 0
    return int(signal.Signals[name]) if name in signal.Signals.__members__ else int(name.removeprefix("SIG"))


def _size(stdout: Any) -> int:
    """The bytes of a program's stdout."""
    if isinstance(stdout, str):
        return len(stdout.encode())
    return int(stdout["bytes"]) if "bytes" in stdout else len(stdout["base64"]) * 3 // 4
