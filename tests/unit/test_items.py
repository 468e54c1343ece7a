"""Reading items: every rule of the formats, and that neither a slow writer nor a huge line hurts."""

import csv
import io
import json
import os
import select
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import InputError
from producer import blocks, jsonl
from producer import lines as lines_module
from producer.items import ITEM_BYTES, Raw, Source, arguments, from_path

Write = Callable[[bytes | str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes items.txt and returns its path."""

    def written(content: bytes | str) -> str:
        path = tmp_path / "items.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Makes a pipe standard input; the end to write to."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield writer


@pytest.fixture(params=[1, 2, 3, 5, blocks.BLOCK_BYTES])
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Reads in blocks of so many bytes: no rule may depend on where they are cut."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", request.param)
    return int(request.param)


def good(source: Source) -> list[tuple[int, object]]:
    """All items; fails on a bad one."""
    found = list(source.open())
    assert [raw.error for raw in found] == [None] * len(found)
    return [(raw.number, raw.value) for raw in found]


def faults(source: Source) -> dict[int, str]:
    """The errors by number; each bad item has no value."""
    bad = [raw for raw in source.open() if raw.error is not None]
    assert all(raw.value is None for raw in bad)
    return {raw.number: str(raw.error) for raw in bad}


def mixed(source: Source) -> list[tuple[int, object]]:
    """All items, an error in place of a bad one's value."""
    return [(raw.number, raw.error or raw.value) for raw in source.open()]


# Arguments


def test_arguments_are_items_as_they_are_also_an_empty_one() -> None:
    source = arguments(["a", " 30 ", "", "x\ny"])
    assert good(source) == [(1, "a"), (2, " 30 "), (3, ""), (4, "x\ny")]
    assert good(source) == good(source)
    assert source.text
    assert source.regular
    assert source.columns() is None
    assert source.place(3) == "argument 3"


def test_an_argument_that_is_not_utf8_or_too_long_is_bad() -> None:
    undecoded = os.fsdecode(b"ab\xff")
    found = faults(arguments([undecoded, "é" * (ITEM_BYTES // 2), "é" * (ITEM_BYTES // 2) + "x"]))
    assert found == {1: "not UTF-8: byte 0xff at column 3", 3: "longer than 1 MiB"}


# Lines

LINES: list[tuple[bytes, list[tuple[int, str]]]] = [
    (b"", []),
    (b"\n", []),
    (b"a\nb\n", [(1, "a"), (2, "b")]),
    (b"a\nlast", [(1, "a"), (2, "last")]),
    (b"a\r\nb\r\n", [(1, "a"), (2, "b")]),
    (b"a\r\r\nb\rc\nd\r", [(1, "a\r"), (2, "b\rc"), (3, "d\r")]),
    (b"\n\na\n\r\n \t\nb\n\n", [(3, "a"), (6, "b")]),
    (b" 30 \n\ta b\t\n", [(1, " 30 "), (2, "\ta b\t")]),
    (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", [(1, "a"), (2, "\ufeffb")]),
    (b"\xef\xbb\xbf", []),
    ("ü\u2028\u0085\x0b\x1cz\n😀\n".encode(), [(1, "ü\u2028\u0085\x0b\x1cz"), (2, "😀")]),
]


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize(("content", "expected"), LINES)
def test_lines(write: Write, content: bytes, expected: list[tuple[int, str]]) -> None:
    assert good(from_path(write(content))) == expected


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_bad_line_does_not_change_its_neighbours(write: Write, end: bytes) -> None:
    content = end.join([b"\xef\xbb\xbfa", b"", b"ab\xffc", " ü ".encode(), b"x\0y", b" ", b"\xc3", b"z"])
    assert mixed(from_path(write(content))) == [
        (1, "a"),
        (3, "not UTF-8: byte 0xff at column 3; name the right one with --encoding"),
        (4, " ü "),
        (5, "contains a NUL byte; use -0 if items end with NUL, --encoding utf-16 if it is UTF-16"),
        (7, "not UTF-8: byte 0xc3 at column 1; name the right one with --encoding"),
        (8, "z"),
    ]


@pytest.mark.usefixtures("block_bytes")
def test_nul_separated_items_keep_newlines_returns_and_spaces(write: Write) -> None:
    source = from_path(write(b"a\nb\r\n\0\0 \0\xff\0c\r\0last\r"), nul=True)
    assert mixed(source) == [
        (1, "a\nb\r\n"),
        (3, " "),
        (4, "not UTF-8: byte 0xff at column 1; name the right one with --encoding"),
        (5, "c\r"),
        (6, "last\r"),
    ]
    assert source.place(3).endswith("items.txt, item 3")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_nul_goes_with_lines_only(write: Write, form: str) -> None:
    with pytest.raises(InputError, match=f"-0 goes with --format lines, not with {form}"):
        from_path(write("1"), form, nul=True)


# Length


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_the_longest_item_is_one_mebibyte(write: Write, end: bytes) -> None:
    longest = b"x" * ITEM_BYTES
    over = longest + b"x"
    content = end.join([b"a", longest, over, b"b", over + longest, over, longest, b"c", over])
    found = list(from_path(write(content), nul=end == b"\0").open())
    assert [raw.number for raw in found] == list(range(1, 10))
    assert [raw.number for raw in found if raw.error == "longer than 1 MiB"] == [3, 5, 6, 9]
    text = longest.decode()
    assert [raw.value for raw in found if raw.error is None] == ["a", text, "b", text, "c"]


@pytest.mark.parametrize("form", ["lines", "jsonl"])
def test_a_line_that_never_ends_is_reported_before_its_end(form: str) -> None:
    def endless() -> Iterator[bytes]:
        yield b"1\n"
        yield from [b"x" * 65536] * 17
        pytest.fail("read on behind the limit")

    found: Iterator[Raw] = lines_module.lines(endless(), "utf-8")
    if form == "jsonl":
        found = jsonl.values(found)
    assert next(found).error is None
    assert next(found) == (2, None, "longer than 1 MiB")


@pytest.mark.parametrize(
    ("form", "last"), [("lines", "ok"), ("jsonl", 7), ("csv", {"n": "ok"}), ("nul", "ok")]
)
def test_a_line_of_50_mb_is_never_in_memory(tmp_path: Path, form: str, last: object) -> None:
    path = tmp_path / "huge"
    end = b"\0" if form == "nul" else b"\n"
    with path.open("wb") as file:
        file.write(b"n" + end if form == "csv" else b" " + end)
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(end + (b"7" if form == "jsonl" else b"ok") + end)
    source = from_path(str(path), nul=True) if form == "nul" else from_path(str(path), form)
    tracemalloc.start()
    try:
        found = list(source.open())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found[-2:] == [(2, None, "longer than 1 MiB"), (3, last, None)]
    assert peak < 4 * ITEM_BYTES


@pytest.mark.parametrize("form", ["lines", "jsonl", "csv"])
def test_a_long_file_is_never_in_memory(write: Write, form: str) -> None:
    source = from_path(write(("1234567890" * 5 + "\n") * 50_000), form)
    tracemalloc.start()
    try:
        count = sum(1 for _ in source.open())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == (49_999 if form == "csv" else 50_000)
    assert peak < ITEM_BYTES


# Encodings

TEXT = "häßlich\r\n\n日本\nend"


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("utf-8-sig", "utf-8"),
        ("utf-8-sig", "UTF-8-SIG"),
        ("utf-8", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-be", "utf-16-be"),
        ("utf-16-le", "utf_16_le"),
        ("utf-32", "utf-32"),
        ("gb18030", "gb18030"),
    ],
)
def test_other_encodings_are_read(write: Write, written: str, encoding: str) -> None:
    source = from_path(write(TEXT.encode(written)), encoding=encoding)
    assert good(source) == [(1, "häßlich"), (3, "日本"), (4, "end")]


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp037"])
def test_encodings_of_one_byte_are_read(write: Write, encoding: str) -> None:
    assert good(from_path(write("ä\nÿþ\n".encode(encoding)), encoding=encoding)) == [(1, "ä"), (2, "ÿþ")]


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize(("byte_order", "mark"), [("le", b"\xff\xfe"), ("be", b"\xfe\xff")])
def test_a_byte_order_mark_is_dropped_also_where_the_order_is_named(
    write: Write, byte_order: str, mark: bytes
) -> None:
    content = mark + "a\nb".encode(f"utf-16-{byte_order}")
    assert good(from_path(write(content), encoding=f"utf-16-{byte_order}")) == [(1, "a"), (2, "b")]


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("form", ["lines", "jsonl", "csv"])
def test_a_foreign_byte_order_mark_names_the_encoding(write: Write, encoding: str, form: str) -> None:
    source = from_path(write("30\n".encode(encoding)), form)
    with pytest.raises(InputError, match=rf"items\.txt: starts with .* use --encoding {encoding}$"):
        list(source.open())


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_without_a_mark_the_byte_order_must_be_named(write: Write, encoding: str) -> None:
    source = from_path(write("30\n40\n".encode(f"{encoding}-be")), encoding=encoding)
    with pytest.raises(InputError, match=rf"items\.txt: .* --encoding {encoding}-le or {encoding}-be$"):
        list(source.open())


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (b"a\nxy\xff\nb", "ascii", "not ascii: byte 0xff at column 3"),
        ("a\n日".encode("shift_jis") + b"\x81\nb", "sjis", "not shift_jis: byte 0x81 at column 2"),
        (b"a\nb\x00\nb".replace(b"\x00", b"\x81"), "cp1252", "not cp1252: byte 0x81 at column 2"),
        (
            "a\nx\ud800\nb".encode("utf-16-le", "surrogatepass"),
            "utf-16-le",
            "not UTF-16-LE: byte 0x00 at column 2",
        ),
        (b"a\nb\xed\xa0\x80\nb", "utf-8", "not UTF-8: byte 0xed at column 2"),
        (b"\xef\xbb\xbfa\nb\xff\nb", "utf-8-sig", "not UTF-8: byte 0xff at column 2"),
    ],
)
def test_a_byte_that_is_not_in_the_encoding_harms_its_line_only(
    write: Write, content: bytes, encoding: str, reason: str
) -> None:
    expected = [(1, "a"), (2, f"{reason}; name the right one with --encoding"), (3, "b")]
    assert mixed(from_path(write(content), encoding=encoding)) == expected


def test_half_a_character_at_the_end_is_bad(write: Write) -> None:
    source = from_path(write("a\nb".encode("utf-16") + b"x"), encoding="utf-16")
    assert faults(source) == {2: "not UTF-16: byte 0x78 at column 2; name the right one with --encoding"}


@pytest.mark.parametrize("encoding", ["nope", "", "a\0b", "é", "hex", "rot13", "undefined", "zlib"])
def test_an_unknown_encoding_is_named(write: Write, encoding: str) -> None:
    with pytest.raises(InputError, match=r"is not known") as caught:
        from_path(write("a"), encoding=encoding)
    assert repr(encoding) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("encoding", ["utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape"])
def test_encodings_that_are_none_of_files_are_refused(write: Write, encoding: str) -> None:
    with pytest.raises(InputError, match=f"'{encoding}' is not supported"):
        from_path(write("a"), encoding=encoding)


# JSON lines


@pytest.mark.usefixtures("block_bytes")
def test_jsonl_values_keep_their_types(write: Write) -> None:
    rows = [
        "30",
        "",
        ' {"a": [1, 2.5, null]}\r',
        "true",
        '"\\ud83d\\ude00\\u0000"',
        "null",
        "-0.0",
        '"30"',
        "[]",
    ]
    source = from_path(write("\ufeff" + "\n".join(rows)), "jsonl")
    assert good(source) == [
        (1, 30),
        (3, {"a": [1, 2.5, None]}),
        (4, True),
        (5, "😀\0"),
        (6, None),
        (7, -0.0),
        (8, "30"),
        (9, []),
    ]
    assert not source.text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not one JSON value: Expecting property name enclosed in double quotes at column 2"),
        ("1 2", "not one JSON value: Extra data at column 3"),
        ("'a'", "not one JSON value: Expecting value at column 1"),
        ('"a\tb"', "not one JSON value: Invalid control character at at column 3"),
        ("NaN", "NaN is not JSON"),
        ('{"a": [Infinity]}', "Infinity is not JSON"),
        ("-Infinity", "-Infinity is not JSON"),
        ("1e999", "the number 1e999 is too large"),
        ("[-1e400]", "the number -1e400 is too large"),
        ("9" * 5000, "a whole number of more than 4300 digits"),
        ("[" * 100_000, "nested more than 100 deep"),
        ("[" * 100_000 + "]" * 100_000, "nested more than 100 deep"),
        ('{"a":' * 100_000, "nested more than 100 deep"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep"),
        ("[" * 100 + "{}" + "]" * 100, "nested more than 100 deep"),
        ('{"a":' * 100 + "[]" + "}" * 100, "nested more than 100 deep"),
        ('"x\\ud800"', "\\ud800 is half a character (a lone surrogate)"),
        ('{"\\udfff": 1}', "\\udfff is half a character (a lone surrogate)"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice in one object"),
        ('[{"x": {"a": 1, "a": 2}}]', "the key 'a' stands twice in one object"),
        ("1\xff", "not UTF-8: byte 0xff at column 2; name the right one with --encoding"),
    ],
)
def test_what_is_no_faithful_json_is_bad(write: Write, line: str, reason: str) -> None:
    content = b"1\n" + line.encode("latin-1") + b"\n2\n"
    assert mixed(from_path(write(content), "jsonl")) == [(1, 1), (2, reason), (3, 2)]


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100 + "]" * 100,
        '{"a":' * 100 + "1" + "}" * 100,
        json.dumps([[1]] * 500),
        "[[]," + "[" * 99 + "]" * 100,
    ],
)
def test_json_may_be_100_deep_and_wide(write: Write, line: str) -> None:
    assert good(from_path(write(line), "jsonl")) == [(1, json.loads(line))]


def test_json_with_4300_digits_is_good(write: Write) -> None:
    assert good(from_path(write("9" * 4300), "jsonl")) == [(1, int("9" * 4300))]


# CSV


@pytest.mark.usefixtures("block_bytes")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_records_are_dicts_placed_at_their_first_line(write: Write, end: str) -> None:
    rows = [
        *("\ufeff", " id , name", "1,a", "", " "),
        '2,"say ""hi"", you"',
        *('3,"x', "", 'z\r"'),
        '4," 5"" pipe "',
        '5,6" pipe',
        "6,",
        '"7"," "',
    ]
    source = from_path(write(end.join(rows)), "csv")
    assert good(source) == [
        (3, {"id": "1", "name": "a"}),
        (6, {"id": "2", "name": 'say "hi", you'}),
        (7, {"id": "3", "name": f"x{end}{end}z\r"}),
        (10, {"id": "4", "name": ' 5" pipe '}),
        (11, {"id": "5", "name": '6" pipe'}),
        (12, {"id": "6", "name": ""}),
        (13, {"id": "7", "name": " "}),
    ]
    assert source.text


@pytest.mark.usefixtures("block_bytes")
def test_a_bad_csv_record_does_not_change_its_neighbours(write: Write) -> None:
    rows = [
        b"a,b",
        b"1",
        b"1,2",
        b"1,2,3",
        b'"1"x,2',
        b"1,\xff",
        b"3,4",
        b'5,"x\ny\xc3\nz\xc4"',
        b"\x00,2",
        b"1\r2,3",
        b"6,7",
    ]
    assert mixed(from_path(write(b"\n".join(rows)), "csv")) == [
        (2, "has 1 column, the header 2"),
        (3, {"a": "1", "b": "2"}),
        (4, "has 3 columns, the header 2"),
        (5, "not CSV: ',' expected after '\"'"),
        (6, "not UTF-8: byte 0xff at column 3; name the right one with --encoding"),
        (7, {"a": "3", "b": "4"}),
        (8, "line 9: not UTF-8: byte 0xc3 at column 2; name the right one with --encoding"),
        (11, "contains a NUL byte; use -0 if items end with NUL, --encoding utf-16 if it is UTF-16"),
        (12, "a carriage return outside quotes"),
        (13, {"a": "6", "b": "7"}),
    ]


@pytest.mark.usefixtures("block_bytes")
def test_a_quote_that_is_not_closed_is_bad(write: Write) -> None:
    assert faults(from_path(write('a,b\n1,2\n3,"4\n5,6\n'), "csv")) == {3: "a quote is not closed"}


def test_one_column_of_csv_may_be_empty_where_it_is_quoted(write: Write) -> None:
    assert good(from_path(write('a\n""\n\n"x"\n'), "csv")) == [(2, {"a": ""}), (4, {"a": "x"})]


def test_a_csv_field_may_be_as_long_as_an_item(write: Write) -> None:
    long = "x" * (ITEM_BYTES - 2)
    assert good(from_path(write(f'a\n"{long}"'), "csv")) == [(2, {"a": long})]


LONG = "y" * (ITEM_BYTES - 3)


@pytest.mark.parametrize(
    ("record", "height", "reason"),
    [
        (f"1,{LONG}yy", 1, "longer than 1 MiB"),
        (f'1,"{LONG}"', 1, "longer than 1 MiB"),
        (f'1,"{LONG}y\n{LONG}""\n9,9\n"', 4, "longer than 1 MiB"),
        (f'1,"{LONG}\n{LONG}\n{LONG}""\n9,9\n"', 5, "longer than 1 MiB; is a quote not closed?"),
        (f'1,"y\n{LONG}\n9,9"', 3, "longer than 1 MiB; is a quote not closed?"),
        (f'1,"y\n{LONG}yyyy\n9,9"', 3, "longer than 1 MiB; is a quote not closed?"),
        (
            '1,"' + "9,9\n" * (ITEM_BYTES // 4) + '"',
            ITEM_BYTES // 4 + 1,
            "longer than 1 MiB; is a quote not closed?",
        ),
        (
            '1,"' + "é\n" * (ITEM_BYTES // 3) + 'é"',
            ITEM_BYTES // 3 + 1,
            "longer than 1 MiB; is a quote not closed?",
        ),
    ],
)
def test_after_a_too_long_csv_record_reading_goes_on_behind_its_quotes(
    write: Write, record: str, height: int, reason: str
) -> None:
    expected = [
        (2, {"a": "0", "b": "0"}),
        (3, reason),
        *((3 + height + more, {"a": "2", "b": "3"}) for more in range(3)),
    ]
    assert mixed(from_path(write(f"a,b\n0,0\n{record}\n2,3\n2,3\n2,3\n"), "csv")) == expected


def test_a_too_long_csv_record_may_be_the_last(write: Write) -> None:
    source = from_path(write('a,b\n1,"' + "9,9\n" * ITEM_BYTES), "csv")
    assert faults(source) == {2: "longer than 1 MiB; is a quote not closed?"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "items.txt: has no header line with the names of the columns"),
        (b"\n \n", "items.txt: has no header line with the names of the columns"),
        (b"\na,,b, \n1,2,3,4", "items.txt:2: header: no name for column 2, 4"),
        (b"a,b, a,c,b\n", "items.txt:1: header: two columns named 'a', 'b'"),
        (b'a,"b\n1,2', "items.txt:1: header: a quote is not closed"),
        (b"a,\xff\n", "items.txt:1: header: not UTF-8: byte 0xff at column 3"),
        (b"a" * (ITEM_BYTES + 1), "items.txt:1: header: longer than 1 MiB"),
    ],
)
@pytest.mark.parametrize("first", ["open", "columns"])
def test_a_csv_without_a_sound_header_is_refused(
    write: Write, content: bytes, reason: str, first: str
) -> None:
    with pytest.raises(InputError) as caught:
        getattr(from_path(write(content), "csv"), first)()
    assert reason in str(caught.value)


def test_columns_of_a_file_use_no_items_up(write: Write) -> None:
    source = from_path(write("a,b\n1,2\n"), "csv")
    assert source.columns() == ("a", "b")
    assert good(source) == [(2, {"a": "1", "b": "2"})]
    assert source.columns() == ("a", "b")
    assert good(source) == [(2, {"a": "1", "b": "2"})]


@pytest.mark.timeout(20)
def test_columns_of_a_stream_use_no_items_up_and_need_only_the_header(stdin: int) -> None:
    source = from_path("-", "csv")
    os.write(stdin, b"a,b\n")
    assert source.columns() == ("a", "b")
    assert source.columns() == ("a", "b")
    os.write(stdin, b"1,2\n")
    os.close(stdin)
    assert good(source) == [(2, {"a": "1", "b": "2"})]
    assert source.columns() == ("a", "b")


def test_lines_and_jsonl_have_no_columns(write: Write) -> None:
    path = write("1\n")
    assert from_path(path).columns() is None
    assert from_path(path, "jsonl").columns() is None


# Files and standard input


def test_a_regular_file_is_read_as_often_as_asked_and_places_name_it(write: Write) -> None:
    path = write("a\n\nb\n")
    source = from_path(path)
    assert source.regular
    assert good(source) == good(source) == [(1, "a"), (3, "b")]
    assert source.place(3) == f"{path}:3"


def test_a_file_that_changed_after_it_was_checked_is_refused(write: Write) -> None:
    source = from_path(write("a\n"))
    assert good(source) == [(1, "a")]
    write("a\nb\n")
    with pytest.raises(InputError, match=r"items\.txt: changed while it was being read"):
        list(source.open())


def test_reads_that_return_less_than_asked_lose_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, _, place: whole(fd, 3, place))
    assert good(from_path(write("a\nlonger\nb"))) == [(1, "a"), (2, "longer"), (3, "b")]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{tmp_path}/none: no such file or directory$") as caught:
        from_path(str(tmp_path / "none"))
    assert caught.value.exit_code == 2


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{tmp_path}: is a directory$"):
        from_path(str(tmp_path))


def test_a_directory_as_standard_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(sys, "stdin", mock.Mock(closed=False, fileno=lambda: fd))
    try:
        with pytest.raises(InputError, match=r"^standard input: is a directory$"):
            from_path("-")
    finally:
        os.close(fd)


def test_a_file_that_may_not_be_read_is_refused_at_once(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(write("a")).chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # so that another user need not pass the folders above
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(InputError, match=r"^items\.txt: permission denied$"):
            from_path("items.txt")
    finally:
        os.seteuid(user)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file whose reading fails")
def test_an_error_while_reading_names_the_file() -> None:
    with pytest.raises(InputError, match=r"^/proc/self/mem: input/output error$"):
        list(from_path("/proc/self/mem").open())


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    with open(path, "w") as file:  # noqa: PTH123
        file.write("a\n")
    source = from_path(path)
    assert good(source) == [(1, "a")]
    assert source.place(1) == f"{tmp_path}/\\xff:1"


def test_an_unknown_format_is_named(write: Write) -> None:
    with pytest.raises(InputError, match=r"--format 'xml' is not known; it is one of lines, jsonl, csv"):
        from_path(write("a"), "xml")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("form", "encoding", "nul", "sent", "expected"),
    [
        ("lines", "utf-8", False, ["1\n", "2\n"], ["1", "2"]),
        ("lines", "utf-8", False, ["ï\n", "\ufeff\n"], ["ï", "\ufeff"]),
        ("lines", "utf-8", True, ["1\0", "2\0"], ["1", "2"]),
        ("lines", "latin-1", False, ["ä\n", "ö\n"], ["ä", "ö"]),
        ("lines", "utf-16-le", False, ["ä\n", "ö\n"], ["ä", "ö"]),
        ("jsonl", "utf-8", False, ["1\n", "[2]\n"], [1, [2]]),
        ("csv", "utf-8", False, ['n\n"1"\n', '"2\n"\n'], [{"n": "1"}, {"n": "2\n"}]),
    ],
)
def test_a_slow_stream_gives_each_item_as_soon_as_it_is_written(  # noqa: PLR0917
    stdin: int, form: str, encoding: str, nul: bool, sent: list[str], expected: list[Any]
) -> None:
    source = from_path("-", form, encoding, nul=nul)
    assert not source.regular
    assert source.place(2) == ("standard input, item 2" if nul else "standard input:2")
    found = None
    for text, value in zip(sent, expected, strict=True):
        os.write(stdin, text.encode(encoding))
        found = found or source.open()
        assert next(found).value == value
    os.close(stdin)
    assert found is not None
    assert list(found) == []


@pytest.mark.timeout(20)
def test_a_stream_that_does_not_block_is_waited_for(stdin: int, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    def selected(reading: list[int], *_: object) -> None:
        waits.append(reading)
        os.write(stdin, b"late\n")

    monkeypatch.setattr(select, "select", selected)
    os.set_blocking(sys.stdin.fileno(), False)
    assert next(from_path("-").open()).value == "late"
    assert waits == [[sys.stdin.fileno()]]
    os.close(stdin)


@pytest.mark.timeout(20)
def test_a_pipe_with_a_path_is_read_once() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"a\nb\n")
    os.close(writer)
    source = from_path(f"/dev/fd/{reader}")
    assert not source.regular
    assert good(source) == [(1, "a"), (2, "b")]
    with pytest.raises(RuntimeError, match="only once"):
        source.open()
    os.close(reader)


def test_a_redirected_file_is_regular_and_begins_where_the_shell_stopped(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(write("header\na\nb\n")).open() as file:
        os.lseek(file.fileno(), len("header\n"), os.SEEK_SET)
        monkeypatch.setattr(sys, "stdin", file)
        source = from_path("-")
        assert source.regular
        assert good(source) == good(source) == [(1, "a"), (2, "b")]
        assert source.place(2) == "standard input:2"


def test_standard_input_may_be_an_object_without_a_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
    source = from_path("-")
    assert not source.regular
    assert good(source) == [(1, "a"), (2, "b")]


@pytest.mark.parametrize("closed", [None, mock.Mock(closed=True)])
def test_a_closed_standard_input_is_refused(closed: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", closed)
    with pytest.raises(InputError, match="standard input: is closed"):
        from_path("-")


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="needs /dev/fd")
@pytest.mark.parametrize("form", ["lines", "csv"])
def test_files_are_closed_also_when_reading_stops_early(write: Write, form: str) -> None:
    source = from_path(write("a\nb\nc\n"), form)
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    source.columns()
    found = source.open()
    next(found)
    del found
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_a_block_is_shorter_than_the_longest_item() -> None:
    assert blocks.BLOCK_BYTES < ITEM_BYTES  # `runs` relies on it


# Round trips

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
sizes = st.integers(1, 9)
quickly = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read_back(content: bytes, write: Write, size: int, *options: str, nul: bool = False) -> list[object]:
    with mock.patch.object(blocks, "BLOCK_BYTES", size):
        return [value for _, value in good(from_path(write(content), *options, nul=nul))]


@quickly
@given(
    items=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=12)
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030"]),
    size=sizes,
)
def test_lines_come_back(items: list[str], end: str, encoding: str, size: int, write: Write) -> None:
    kept = [item for item in items if item.strip()]
    content = ("x" + end + end.join(items)).encode(encoding)
    assert read_back(content, write, size, "lines", encoding) == ["x", *kept]


@quickly
@given(
    items=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)),
    size=sizes,
)
def test_nul_separated_items_come_back(items: list[str], size: int, write: Write) -> None:
    content = "".join(f"{item}\0" for item in ["x", *items]).encode()
    assert read_back(content, write, size, nul=True) == ["x", *items]


@quickly
@given(items=st.lists(some_json), ascii_only=st.booleans(), size=sizes)
def test_json_values_come_back(items: list[object], ascii_only: bool, size: int, write: Write) -> None:
    content = "\n".join(json.dumps(item, ensure_ascii=ascii_only) for item in items).encode()
    assert read_back(content, write, size, "jsonl") == items


@quickly
@given(
    rows=st.lists(
        st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))] * 2)
    ),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    size=sizes,
)
def test_csv_records_come_back(rows: list[tuple[str, str]], quoting: Any, size: int, write: Write) -> None:
    table = io.StringIO(newline="")
    csv.writer(table, quoting=quoting).writerows([("a", "b"), *rows])
    expected = [{"a": a, "b": b} for a, b in rows]
    assert read_back(table.getvalue().encode(), write, size, "csv") == expected
