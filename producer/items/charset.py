"""The encoding of an input: any text encoding of Python's, converted to UTF-8 before the input is split."""

import codecs
from collections.abc import Iterator

from gristmill.errors import InputError, invalid_value

UTF_8 = "utf-8"

#: byte order marks that are no UTF-8, longest first (UTF-32's begins with UTF-16's), and what to ask for
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_STARTS = (codecs.BOM_UTF8, *(mark for mark, _ in _MARKS))

#: encodings that no file has, and whose decoders hold back input without bound
_UNSUPPORTED = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7"}

_KEEP = "gristmill-keep"


def canonical_name(encoding: str) -> str:
    """Python's name of `encoding`; "utf-8" for utf-8-sig.

    Raises:
        InputError: Python has no such encoding, or no file is in it.
    """
    try:
        name = codecs.lookup(encoding).name
        "\n".encode(encoding)  # refuses what turns bytes into bytes: hex, zip
    except (LookupError, ValueError) as error:
        raise InputError(
            invalid_value("encoding", encoding, "a text encoding such as utf-8, utf-16 or cp1252")
        ) from error
    if name in _UNSUPPORTED:
        raise InputError(invalid_value("encoding", encoding, "an encoding of files: convert the input to UTF-8 first"))
    return UTF_8 if name == "utf-8-sig" else name


def as_utf8(blocks: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Yield the input as UTF-8 without its byte order mark; wrong bytes stay wrong, where they are.

    `encoding` is a name from `canonical_name`; `name` is the input's.

    Raises:
        InputError: a byte order mark contradicts the encoding, or UTF-16 or UTF-32 has none to tell the byte order.
    """
    if encoding != UTF_8:
        blocks = _converted(blocks, encoding, name)
    return _unmarked(blocks, name)


def undecodable(record: bytes, encoding: str) -> str:
    """Why `record`, from `as_utf8`, is not in `encoding`: its first wrong byte and the column, from 1."""
    text = record.decode(UTF_8, "surrogateescape" if encoding == UTF_8 else "surrogatepass")
    column, wrong = next((i, ord(c)) for i, c in enumerate(text, 1) if "\ud800" <= c <= "\udfff")
    title = encoding.upper() if encoding.startswith("utf") else encoding
    return f"not {title}: byte 0x{wrong & 0xFF:02x} at column {column}; name the right one with --encoding"


def _unmarked(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    head = b""
    for block in blocks:
        head += block
        # Wait for more only while these bytes may be the beginning of a mark: a slow "1\n" passes at once.
        if not any(len(head) < len(mark) and mark.startswith(head) for mark in _STARTS):
            break
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            raise InputError(f"{name}: starts with a byte order mark of {encoding.upper()}; use --encoding {encoding}")
    yield head.removeprefix(codecs.BOM_UTF8)
    yield from blocks


def _converted(blocks: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(_KEEP)
    try:
        for block in blocks:
            yield decoder.decode(block).encode(UTF_8, "surrogatepass")
        yield decoder.decode(b"", True).encode(UTF_8, "surrogatepass")
    except UnicodeError as error:  # utf-16 and utf-32 only: all else goes through _keep
        raise InputError(f"{name}: has no byte order mark; use --encoding {encoding}-le or {encoding}-be") from error


def _keep(error: UnicodeError) -> tuple[str, int]:
    """Put lone surrogates for wrong bytes: UTF-8 has none, so that this record is bad, and no other."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(chr(0xDC00 + byte) for byte in wrong), error.end


codecs.register_error(_KEEP, _keep)
