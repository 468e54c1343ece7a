"""Writes results, a line each: JSONL or CSV, to stdout or into a file that appears when it is whole."""

import csv
import io
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, TextIO

from batches.result import FIELDS, Result
from config.errors import InputError

Form = Literal["jsonl", "csv"]


class ResultWriter:
    """Writes results. A context manager: `path` is replaced at a good end, and left alone at any other."""

    def __init__(self, form: Form = "jsonl", path: str | None = None, *, failed_only: bool = False) -> None:
        self._line = _as_csv if form == "csv" else Result.to_json
        self._header = ",".join(FIELDS) if form == "csv" else None
        self._path = Path(path) if path else None
        self._failed_only = failed_only
        self._stream: TextIO = sys.stdout
        #: Results given to `write` so far.
        self.seen = 0

    def __enter__(self) -> "ResultWriter":
        if self._path:
            try:
                handle, self._temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
            except OSError as error:
                raise InputError(f"--output {str(self._path)!r} cannot be written: {error.strerror}") from None
            self._stream = os.fdopen(handle, "w", encoding="utf-8", newline="\n")
        if self._header:
            self._stream.write(self._header + "\n")
        return self

    def write(self, result: Result) -> None:
        """Write one result, unless it is to be left out."""
        self.seen += 1
        if not (self._failed_only and result.state == "succeeded"):
            self._stream.write(self._line(result) + "\n")

    def flush(self) -> None:
        """Hand over what was written: a reader at the other end of a pipe waits for it."""
        self._stream.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._path:
            return
        self._stream.close()
        if kind is None:
            umask = os.umask(0)
            os.umask(umask)
            Path(self._temporary).chmod(0o666 & ~umask)
            Path(self._temporary).replace(self._path)
        else:
            with suppress(FileNotFoundError):
                Path(self._temporary).unlink()


def _as_csv(result: Result) -> str:
    row = [getattr(result, column) for column in FIELDS]
    text = io.StringIO()
    cells = [cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False) for cell in row]
    csv.writer(text, lineterminator="").writerow(["" if cell == "null" else cell for cell in cells])
    return text.getvalue()
