"""The format `csv`: headers, quotes, line numbers, and records that are broken or too long."""

import csv
import io
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import InputError
from gristmill.producer.items import ITEM_BYTES
from tests.support.reading import (  # noqa: F401
    Write,
    block_bytes_fixture,
    faults,
    from_path,
    good,
    mixed,
    quickly,
    read_back,
    sizes,
    stdin_fixture,
    write_fixture,
)


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
def test_a_csv_without_a_sound_header_is_refused(write: Write, content: bytes, reason: str, first: str) -> None:
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


@quickly
@given(
    rows=st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))] * 2)),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    size=sizes,
)
def test_csv_records_come_back(rows: list[tuple[str, str]], quoting: Any, size: int, write: Write) -> None:
    table = io.StringIO(newline="")
    csv.writer(table, quoting=quoting).writerows([("a", "b"), *rows])
    expected = [{"a": a, "b": b} for a, b in rows]
    assert read_back(table.getvalue().encode(), write, size, "csv") == expected
