"""Prints what programs wrote, item by item, as their shell would have: stdout on stdout, stderr on stderr."""

import io
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gristmill.batches.result import Result
from gristmill.cli.console import on_terminal, say, warn
from gristmill.cli.output.result_lines import ResultWriter
from gristmill.config.figures import printable
from gristmill.tasks.program.template import text_of

#: Types of errors that all items may share: the text of a program that cannot run names the program, not the item.
_FOR_ALL = {"ProgramFailed", "ProgramsOff", "FileNotFoundError", "NotADirectoryError", "PermissionError"}
#: Bytes of a file that are printed at a time.
_PIECE_BYTES = 1 << 20


def outcome_of(result: Result) -> dict[str, Any] | None:
    """How the program of an item ended; None if none did."""
    about = result.value if result.state == "succeeded" else (result.error or {}).get("outcome")
    return about if isinstance(about, dict) and "stdout" in about else None


class OutputWriter(ResultWriter):
    """Writes what programs wrote to stdout, each item's whole and at a time, and a line on stderr for each failure.

    With `tag`, each line begins with the item's input and a tab. With `logs`, what a program wrote to stderr goes to
    stderr.
    """

    def __init__(self, *, tag: bool = False, logs: bool = True) -> None:
        super().__init__("jsonl", repeats=True)
        self._tag, self._logs = tag, logs
        self._to = _to_terminal if on_terminal(sys.stdout) else _to_pipe
        #: The error of the last item that failed, and how many after it have failed with the same one.
        self._error, self._repeats = "", 0

    def print_result(self, result: Result) -> None:
        """Write the output of one item."""
        outcome = outcome_of(result)
        if outcome:
            tag = _tag(result.input) if self._tag else b""
            begins = True
            for piece in _pieces(outcome["stdout"]):
                begins = _write(self._to, piece, tag, begins)
        if self._logs and result.log:
            sys.stdout.flush()
            sys.stderr.write(result.log)
            sys.stderr.flush()
        if result.state != "succeeded" and result.error:
            self._say_error(result, result.error["type"], result.error["message"])

    def _say_error(self, result: Result, kind: str, message: str) -> None:
        """Print how an item failed. A program that is missing fails all items alike: one line has the first."""
        if message == self._error and kind in _FOR_ALL and result.state == "failed":
            self._repeats += 1
            return
        self._say_repeats()
        self._error = message
        _print_error(f"item {result.index} {result.state}: {message}")

    def _say_repeats(self) -> None:
        if self._repeats:
            number = f"{self._repeats:,} more items" if self._repeats > 1 else "1 more item"
            _print_error(f"{number} failed: {self._error}")
            self._repeats = 0

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._say_repeats()
        super().__exit__(kind)


def _print_error(text: str) -> None:
    sys.stdout.flush()
    say(f"gristmill: {printable(text)}", "red")


def _pieces(form: Any) -> Iterator[bytes]:
    """What a program wrote to stdout, from the form that its outcome has."""
    if isinstance(form, str):
        yield form.encode()
    elif "base64" in form:
        yield b64decode(form["base64"])
    elif "file" in form:
        try:
            with Path(form["file"]).open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    yield piece
        except OSError as error:
            warn(f"cannot read {form['file']!r}: {error.strerror}: it is on the host of the worker")


def _to_pipe(data: bytes) -> None:
    sys.stdout.buffer.write(data)


def _to_terminal(data: bytes) -> None:
    # As text, which goes through the bar's stream: that keeps the bar below it.
    sys.stdout.write(data.decode(errors="replace"))


def _write(put: Callable[[bytes], object], piece: bytes, tag: bytes, begins: bool) -> bool:
    """Write a piece of an output, with the tag before each line; whether the next piece begins a line."""
    if not tag:
        put(piece)
        return begins
    # Not `splitlines`, which ends lines at a carriage return too.
    for line in io.BytesIO(piece):
        put(tag + line if begins else line)
        begins = line.endswith(b"\n")
    return begins


def _tag(item: Any) -> bytes:
    """The input of an item as text, with blanks between its values."""
    values = item["input"] if isinstance(item, dict) else item
    if isinstance(values, dict):
        values = list(values.values())
    texts = map(text_of, values) if isinstance(values, list) else [text_of(values)]
    return " ".join(texts).encode(errors="surrogateescape") + b"\t"
