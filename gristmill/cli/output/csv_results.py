"""Results as CSV: the fields of a result, then a column for each argument of the item and each part of the value."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from gristmill.batches.result import FIELDS, Result

#: Failures at the beginning that are held back until a value says which columns there are.
_HELD_MOST = 1000


class CsvResults:
    """The lines of a file. The first result that succeeded says which columns follow the fields of every result.

    An argument or a part keeps its name as a column, or is `input.NAME` or `value.NAME` where that is the name of
    another column. What has no column is in `input` and `value`, as JSON. `header` is that of a file to go on with.
    """

    def __init__(self, header: str = "") -> None:
        self._columns: dict[str, tuple[str, str]] | None = None
        self._waiting: list[Result] = []
        if header:
            names = next(csv.reader(io.StringIO(header, newline="")))[len(FIELDS) :]
            self._columns = {name: _part(name) for name in names}

    def lines(self, result: Result) -> Iterator[str]:
        """The lines that can be written with one more result: the header comes before the first."""
        if self._columns is not None:
            yield self._line(result)
            return
        self._waiting.append(result)
        if result.state == "succeeded" or len(self._waiting) > _HELD_MOST:
            yield from self.rest(result)

    def rest(self, model: Result | None = None) -> Iterator[str]:
        """The header, if it was not written, with the columns of a result; and the lines behind it."""
        if self._columns is None:
            model = model or (self._waiting[0] if self._waiting else None)
            self._columns = _columns_of(model) if model else {}
            yield _text([*FIELDS, *self._columns])
        yield from map(self._line, self._waiting)
        self._waiting = []

    def _line(self, result: Result) -> str:
        columns = self._columns or {}
        objects = {"input": result.input, "value": result.value}
        parts = [_within(objects, place, name) for place, name in columns.values()]
        return _text([*(_text_of(getattr(result, field)) for field in FIELDS), *parts])


def _columns_of(result: Result) -> dict[str, tuple[str, str]]:
    columns: dict[str, tuple[str, str]] = {}
    for place, value in (("input", result.input), ("value", result.value)):
        for name in value if isinstance(value, dict) else ():
            full = f"{place}.{name}"
            columns[full if name in FIELDS or name in columns or "." in name else name] = (place, name)
    return columns


def _part(column: str) -> tuple[str, str]:
    """Where the cell of a column is found: in the input or the value, or in either (an empty place)."""
    place, dot, name = column.partition(".")
    return (place, name) if dot and place in ("input", "value") else ("", column)


def _within(objects: dict[str, Any], place: str, name: str) -> str:
    for each in (place,) if place else objects:
        if isinstance(objects[each], dict) and name in objects[each]:
            return _text_of(objects[each][name])
    return ""


def _text_of(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "" if text == "null" else text


def _text(cells: Iterable[str]) -> str:
    text = io.StringIO()
    # The writer quotes a field with any character of its line terminator.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n")
