"""The format `lines`: where a line ends, which are skipped, and that a huge one harms nothing."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import InputError
from gristmill.producer.items import ITEM_BYTES, Raw, jsonl
from gristmill.producer.items import lines as lines_module
from tests.support.reading import (  # noqa: F401
    Write,
    block_bytes_fixture,
    from_path,
    good,
    mixed,
    quickly,
    read_back,
    sizes,
    write_fixture,
)

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
        (4, "\udcff"),
        (5, "c\r"),
        (6, "last\r"),
    ]
    assert source.place(3).endswith("items.txt, item 3")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_nul_goes_with_lines_only(write: Write, form: str) -> None:
    with pytest.raises(InputError, match=f"-0 goes with --input-format lines, not with {form}"):
        from_path(write("1"), form, nul=True)


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


@pytest.mark.parametrize(("form", "last"), [("lines", "ok"), ("jsonl", 7), ("csv", {"n": "ok"}), ("nul", "ok")])
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


@quickly
@given(
    items=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=12)),
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
