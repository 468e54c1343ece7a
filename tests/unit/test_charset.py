"""Encodings: what is read, and that a wrong byte is named and harms its line only."""

import pytest

from gristmill.errors import InputError
from tests.support.reading import Write, block_bytes_fixture, faults, from_path, good, mixed, write_fixture  # noqa: F401

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
def test_a_byte_order_mark_is_dropped_also_where_the_order_is_named(write: Write, byte_order: str, mark: bytes) -> None:
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
    with pytest.raises(InputError, match=r"encoding: ") as caught:
        from_path(write("a"), encoding=encoding)
    assert repr(encoding) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("encoding", ["utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape"])
def test_encodings_that_are_none_of_files_are_refused(write: Write, encoding: str) -> None:
    with pytest.raises(InputError, match=f"encoding: '{encoding}'"):
        from_path(write("a"), encoding=encoding)
