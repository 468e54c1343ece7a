"""The format `jsonl`: values keep their types, and what is no faithful JSON is bad."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.reading import (  # noqa: F401
    Write,
    block_bytes_fixture,
    from_path,
    good,
    mixed,
    quickly,
    read_back,
    sizes,
    text,
    write_fixture,
)


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
        ('{"\\udfff": "\\udcff"}', "\\udfff is half a character (a lone surrogate)"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' appears twice in one object"),
        ('[{"x": {"a": 1, "a": 2}}]', "the key 'a' appears twice in one object"),
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


some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


@quickly
@given(items=st.lists(some_json), ascii_only=st.booleans(), size=sizes)
def test_json_values_come_back(items: list[object], ascii_only: bool, size: int, write: Write) -> None:
    content = "\n".join(json.dumps(item, ensure_ascii=ascii_only) for item in items).encode()
    assert read_back(content, write, size, "jsonl") == items
