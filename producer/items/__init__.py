"""The items of a batch, from arguments, a file or standard input, one by one as they were written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from gristmill.errors import InputError, invalid_value
from gristmill.producer.items import charset, jsonl, lines
from gristmill.producer.items.blocks import Blocks
from gristmill.producer.items.lines import ITEM_BYTES, Raw
from gristmill.producer.items.source import Source
from gristmill.producer.items.table import Table

__all__ = ["FORMATS", "ITEM_BYTES", "Format", "Raw", "Source", "arguments", "from_path"]

Format = Literal["lines", "jsonl", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: dict[str, Format] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}


def arguments(items: Sequence[str]) -> Source:
    """The items given on the command line; an empty one is an item too."""
    return _Arguments(items)


def from_path(path: str, form: str | None = None, encoding: str = "utf-8", *, nul: bool = False) -> Source:
    """The items in the file at `path`, "-" for standard input, in one of FORMATS; `nul` is `-0`.

    Without a format the suffix of the path decides: `.jsonl` or `.ndjson`, `.csv`; anything else is lines.

    Raises:
        InputError: an option is not valid, or the file is missing, a directory or unreadable.
    """
    if form is None:
        form = "lines" if nul else _SUFFIXES.get(Path(path).suffix.lower(), "lines")
    if form not in FORMATS:
        raise InputError(invalid_value("--input-format", form, f"one of {', '.join(FORMATS)}"))
    if nul and form != "lines":
        raise InputError(f"-0 goes with --input-format lines, not with {form}")
    return _File(Blocks(path), form, charset.canonical_name(encoding), nul)


class _Arguments:
    name, regular, text = "arguments", True, True

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items

    def open(self) -> Iterator[Raw]:
        for number, item in enumerate(self._items, 1):
            error = _fault(item)
            yield Raw(number, None, error) if error else Raw(number, item)

    def columns(self) -> None:
        return None

    def place(self, number: int) -> str:
        return f"argument {number}"


class _File:
    def __init__(self, blocks: Blocks, form: str, encoding: str, nul: bool) -> None:
        self.name, self.regular, self.text = blocks.name, blocks.regular, form != "jsonl"
        self._blocks, self._form, self._encoding, self._nul = blocks, form, encoding, nul
        self._open_table: Table | None = None  # a stream of which `columns` has read the header
        self._columns: tuple[str, ...] | None = None
        self._used = False

    def open(self) -> Iterator[Raw]:
        if self._form == "csv":
            table, self._open_table = self._open_table or self._table(), None
            return iter(table)
        records = lines.lines(self._utf8(), self._encoding, nul=self._nul)
        return jsonl.values(records) if self._form == "jsonl" else records

    def columns(self) -> tuple[str, ...] | None:
        if self._form == "csv" and self._columns is None:
            table = self._table()
            if not self.regular:
                self._open_table = table
        return self._columns

    def place(self, number: int) -> str:
        return f"{self.name}, item {number}" if self._nul else f"{self.name}:{number}"

    def _table(self) -> Table:
        table = Table(self._utf8(), self._encoding, self.name)
        self._columns = table.columns
        return table

    def _utf8(self) -> Iterator[bytes]:
        if self._used and not self.regular:
            raise RuntimeError(f"{self.name} can be read only once")
        self._used = True
        return charset.as_utf8(self._blocks.read(), self._encoding, self.name)


def _fault(item: str) -> str | None:
    try:
        size = len(item.encode())
    except UnicodeEncodeError as error:  # Python keeps a byte outside UTF-8 as a lone surrogate
        return f"not UTF-8: byte 0x{ord(item[error.start]) & 0xFF:02x} at column {error.start + 1}"
    return lines.TOO_LONG if size > ITEM_BYTES else None
