"""Writes results, a line each: text, JSONL or CSV, to stdout or into a file that appears when it is whole."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from gristmill.batches.result import Result
from gristmill.cli.console import note
from gristmill.cli.output import result_text
from gristmill.cli.output.csv_results import CsvResults
from gristmill.cli.output.partial_output import Partial
from gristmill.cli.output.written import WrittenAttempts

Form = Literal["text", "jsonl", "csv"]
FORMS: tuple[Form, ...] = ("text", "jsonl", "csv")


class ResultWriter:
    """Writes results. A context manager: `path` is replaced at a good end, and left alone at any other.

    `states` selects results; None selects all. `resume_key` names the batch and the order: when a killed
    command has left a part of `path` with the same key, this writer goes on with it. `repeats` says that results may
    come more than once; the writer writes each once, as it does with a `path`.
    """

    def __init__(
        self,
        form: Form = "jsonl",
        path: str | None = None,
        *,
        states: frozenset[str] | None = None,
        resume_key: str = "",
        repeats: bool = False,
    ) -> None:
        self._form = form
        self._line = result_text.line_of(terminal=path is None) if form == "text" else Result.to_json
        #: Whether values that are in files are to be read too: on a terminal a line has their size.
        self.needs_values = form != "text" or not result_text.is_cut(terminal=path is None)
        self._path = Path(path) if path else None
        self._states = states
        self._resume_key = f"{resume_key} {form} {sorted(states or ())}" if resume_key else ""
        self._partial: Partial | None = None
        self._csv: CsvResults | None = None
        self._attempts = WrittenAttempts() if path or repeats else None
        #: What else takes each result that is written.
        self.also: Callable[[Result], None] | None = None
        #: Results that were written, by an earlier command too, and those of succeeded items among them.
        self.count = self.succeeded = 0

    def __enter__(self) -> "ResultWriter":
        if self._path and self._attempts:
            self._partial = Partial(self._path, self._resume_key)
            for index, state, attempts in self._partial.resume(self._form):
                self._attempts.add(index, attempts)
                self._count(state)
        if self._form == "csv":
            self._csv = CsvResults(self._partial.header() if self._partial else "")
        return self

    def write(self, result: Result) -> None:
        """Write one result, unless its state is not selected or it was written before."""
        if self._states is not None and result.state not in self._states:
            return
        if self._attempts and not self._attempts.add(result.index, result.attempts):
            return
        self.print_result(result)
        if self.also:
            self.also(result)
        self._count(result.state)

    def print_result(self, result: Result) -> None:
        """Write a result that was not written before."""
        for line in (self._line(result),) if self._csv is None else self._csv.lines(result):
            self._write(line)

    def _count(self, state: str) -> None:
        self.count += 1
        self.succeeded += state == "succeeded"

    def _write(self, line: str) -> None:
        if self._partial:
            self._partial.file.write(line.encode(errors="surrogateescape") + b"\n")
        else:
            sys.stdout.write(line + "\n")

    def write_all(self, results: Iterable[Result], *, durably: bool = False) -> None:
        """Write results and hand them over; `durably`: they are in the file also after a power cut."""
        for result in results:
            self.write(result)
        if not self._partial:
            sys.stdout.flush()
        elif durably:
            self._partial.sync()
        else:
            self._partial.file.flush()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._csv:
            for line in self._csv.rest():
                self._write(line)
        if not self._partial:
            return
        if kind is None:
            self._partial.publish()
        elif self.count and self._resume_key:
            self._partial.close()
            note(f"{self._partial.path} has the {self.count:,} results so far: the same command goes on with it")
        else:
            self._partial.drop()
