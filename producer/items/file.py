"""Items in a file or in standard input."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from gristmill.errors import InputError, invalid_value
from gristmill.producer.items import charset, jsonl, lines
from gristmill.producer.items.blocks import Blocks
from gristmill.producer.items.lines import Raw, split_lines
from gristmill.producer.items.source import Source
from gristmill.producer.items.table import Table

Format = Literal["lines", "jsonl", "csv", "tsv"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: The formats with a header, and what separates their columns.
_TABLES = {"csv": ",", "tsv": "\t"}
_SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read; `form` is one of FORMATS, None: the suffix of the path decides, else lines.

    Without an `encoding` it is UTF-8. With `nul` (`-0`), a line ends with NUL. With `nul` or `any_bytes`, and without
    an encoding, a line may have bytes that are no UTF-8: each becomes a lone surrogate, as in names of files.
    `separator` splits lines into columns, or separates those of a table. `columns` names the columns of lines, or
    selects those of a table.
    """

    form: str | None = None
    encoding: str | None = None
    nul: bool = False
    any_bytes: bool = False
    separator: str = ""
    columns: Sequence[str] = ()

    def format_of(self, path: str) -> str:
        """The format of a file.

        Raises:
            InputError: the options do not go together.
        """
        form = self.form
        if form is None:
            form = "lines" if self.nul else _SUFFIXES.get(Path(path).suffix.lower(), "lines")
        if form not in FORMATS:
            raise InputError(invalid_value("--input-format", form, f"one of {', '.join(FORMATS)}"))
        if self.nul and form != "lines":
            raise InputError(f"-0 goes with --input-format lines, not with {form}")
        if form in _TABLES and len(self.separator) > 1:
            raise InputError(invalid_value("--separator", self.separator, f"one character for {form}"))
        if form == "jsonl" and (self.separator or self.columns):
            raise InputError("--separator and --columns go with --input-format lines, csv and tsv, not with jsonl")
        if form == "lines" and self.columns and not self.separator:
            raise InputError(
                "--columns names the columns of lines that --separator splits, or selects those of a table"
            )
        return form


class File(Source):
    """The items in the file at `path`, "-" for standard input.

    Raises:
        InputError: an option is not valid, or the file is missing, a directory or unreadable.
    """

    def __init__(self, path: str, reading: Reading) -> None:
        self._reading, self._form = reading, reading.format_of(path)
        self._encoding = charset.canonical_name(charset.UTF_8 if reading.encoding is None else reading.encoding)
        self._any_bytes = reading.encoding is None and (reading.nul or reading.any_bytes)
        self._blocks = Blocks(path)
        self.name, self.regular, self.text = self._blocks.name, self._blocks.regular, self._form != "jsonl"
        self._open_table: Table | None = None  # a stream of which `columns` has read the header
        self._columns: tuple[str, ...] | None = None
        self._used = False

    def open(self) -> Iterator[Raw]:
        """Yield every item."""
        reading = self._reading
        if self._form in _TABLES:
            table, self._open_table = self._open_table or self._table(), None
            return iter(table)
        records = lines.lines(self._utf8(), self._encoding, nul=reading.nul, any_bytes=self._any_bytes)
        if self._form == "jsonl":
            return jsonl.values(records)
        return split_lines(records, reading.separator, reading.columns) if reading.separator else records

    def columns(self) -> tuple[str, ...] | None:
        """The names of the columns, of a table and of lines that are split."""
        if self._form == "lines" and self._reading.columns:
            return tuple(self._reading.columns)
        if self._form in _TABLES and self._columns is None:
            table = self._table()
            if not self.regular:
                self._open_table = table
        return self._columns

    def place(self, number: int) -> str:
        """`items.txt:3`, or `list, item 3` where items end with NUL."""
        return f"{self.name}, item {number}" if self._reading.nul else f"{self.name}:{number}"

    def _table(self) -> Table:
        reading = self._reading
        delimiter = reading.separator or _TABLES[self._form]
        table = Table(self._utf8(), self._encoding, self.name, delimiter, reading.columns)
        self._columns = table.columns
        return table

    def _utf8(self) -> Iterator[bytes]:
        if self._used and not self.regular:
            raise RuntimeError(f"{self.name} can be read only once")
        self._used = True
        if self._reading.nul and self._any_bytes:
            # A name of a file may begin with the bytes of a byte order mark.
            return self._blocks.read()
        return charset.as_utf8(self._blocks.read(), self._encoding, self.name)
