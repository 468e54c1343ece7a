"""The formats `csv` and `tsv`: a header line, then one item per record, quoted as RFC 4180 says."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from gristmill.config.figures import count
from gristmill.errors import InputError
from gristmill.producer.items.lines import ITEM_BYTES, TOO_LONG, Raw, clean, fault, runs

T = TypeVar("T", str, bytes)
_EXCEL = re.compile(r"sep=([^\w\s]|\t)")


class Table:
    """Reads the header at once, and a record when the caller asks for it.

    `name` is the input's. `columns` are the names of the columns: those of `selection`, or all of the header's.

    Raises:
        InputError: there is no header, it cannot be read, a name in it is empty or appears twice, or one of `selection`
            is not there.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        encoding: str,
        name: str,
        delimiter: str = ",",
        selection: Sequence[str] = (),
    ) -> None:
        # A record has ITEM_BYTES at most; Python's own limit, for the process, is 128 KiB a field.
        csv.field_size_limit(max(csv.field_size_limit(), ITEM_BYTES + 1))
        self._feed = _Feed(blocks, encoding)
        self._delimiter = delimiter
        self._rows = csv.reader(self._feed, strict=True, delimiter=delimiter)
        self._header = self._read_header(name, selection)
        self.columns = tuple(selection) or self._header

    def __iter__(self) -> Iterator[Raw]:
        """Yield a dict of column to text for each record, or its error if it is broken or has other columns."""
        header, width = self._header, len(self._header)
        places = None if self.columns == header else [(column, header.index(column)) for column in self.columns]
        while (record := self._record()) is not None:
            number, row, error = record
            if error is not None:
                yield Raw(number, None, error)
            elif len(row) == width:
                cells = zip(header, row, strict=True) if places is None else ((name, row[at]) for name, at in places)
                yield Raw(number, dict(cells))
            elif len(row) > 1 or (row and row[0].strip()):
                yield Raw(number, None, f"has {count(len(row), 'column')}, the header {width}")

    def _read_header(self, name: str, selection: Sequence[str]) -> tuple[str, ...]:
        while (record := self._record()) is not None:
            number, row, error = record
            if number == 1 and (mark := _EXCEL.fullmatch(self._delimiter.join(row))):
                # Excel says so in a line of its own.
                self._rows = csv.reader(self._feed, strict=True, delimiter=mark[1])
                continue
            columns = tuple(column.strip() for column in row)
            if error is None:
                if not any(columns) and len(columns) < 2:
                    continue  # a blank line
                error = _unfit(columns) if not selection else _without(columns, selection)
            if error is not None:
                raise InputError(f"{name}:{number}: header: {error}")
            return columns
        raise InputError(f"{name}: has no header line with the names of the columns")

    def _record(self) -> tuple[int, list[str], str | None] | None:
        """The next record's first line, fields and error; None at the end. No fields for a blank line."""
        feed = self._feed
        number = feed.begin()
        try:
            row = next(self._rows)
        except StopIteration:
            return None
        except _TooLongError as error:
            return number, [], str(error)
        except csv.Error as error:
            return number, [], _explained(str(error))
        return number, row, feed.error


class _TooLongError(Exception):
    """Raised through csv.reader, which then starts anew: the record is over ITEM_BYTES."""


class _Feed:
    """Gives lines to csv.reader, which asks for more than one only within quotes, and counts them."""

    def __init__(self, blocks: Iterable[bytes], encoding: str) -> None:
        self.error: str | None = None  # the fault in the bytes of the current record
        self._lines = _lines(blocks, encoding)
        self._number = 0  # lines finished
        self._bytes = 0  # of the present record so far
        self._skipped: str | None = None  # the piece at which the last record grew too long …
        self._quoted = False  # … and whether it starts within quotes

    def begin(self) -> int:
        """Start a record, after the rest of a too long one; return its line, from 1."""
        if self._skipped is not None:
            self._skip(self._skipped, self._quoted)
            self._skipped = None
        self.error, self._bytes = None, 0
        return self._number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, error = next(self._lines)
        within = self._bytes > 0
        self._bytes += len(line) if line.isascii() else len(line.encode("utf-8", "surrogatepass"))
        if error is TOO_LONG or (within and self._bytes > ITEM_BYTES):
            self._skipped, self._quoted = line, within
            raise _TooLongError(f"{TOO_LONG}; is a quote not closed?" if within else TOO_LONG)
        self._number += 1
        if error is not None and self.error is None:
            self.error = f"line {self._number}: {error}" if within else error
        return line

    def _skip(self, piece: str, quoted: bool) -> None:
        """Read on to the line end outside quotes, where the next record starts."""
        while piece:
            quoted ^= piece.count('"') % 2 == 1
            if piece.endswith("\n"):
                self._number += 1
                if not quoted:
                    return
            piece, _ = next(self._lines, ("", None))


def _lines(blocks: Iterable[bytes], encoding: str) -> Iterator[tuple[str, str | None]]:
    """Yield each line with its end and its error; a too long one in pieces, each with TOO_LONG."""
    for run, whole in runs(blocks, b"\n"):
        if not whole:
            yield run.decode("latin-1"), TOO_LONG  # only its quotes and its end matter
            continue
        text = clean(run)
        if text is None:
            for record in _ended(run.split(b"\n")):
                yield record.decode("utf-8", "replace") + "\n", fault(record, encoding)
        else:
            for line in _ended(text.split("\n")):
                yield line + "\n", None


def _ended(parts: list[T]) -> list[T]:
    """The parts of a split, without the empty one after the last line end."""
    return parts if parts[-1] else parts[:-1]


def _unfit(columns: tuple[str, ...]) -> str | None:
    """Why these names cannot be those of an item's fields; None if they can."""
    empty = [str(place) for place, column in enumerate(columns, 1) if not column]
    if empty:
        return f"no name for column {', '.join(empty)}"
    twice = [column for column, count in Counter(columns).items() if count > 1]
    return f"two columns named {', '.join(map(repr, twice))}" if twice else None


def _without(columns: tuple[str, ...], selection: Sequence[str]) -> str | None:
    """Which columns of a selection are not there, or there twice; None if each is there once."""
    lacking = [repr(column) for column in selection if columns.count(column) != 1]
    return f"not one column named {', '.join(lacking)} (its columns: {', '.join(columns)})" if lacking else None


def _explained(reason: str) -> str:
    """A csv.Error in the words of this module."""
    if "unexpected end of data" in reason:
        return "a quote is not closed"
    if "new-line character" in reason:
        return "a carriage return outside quotes"
    return f"not CSV: {reason}"
