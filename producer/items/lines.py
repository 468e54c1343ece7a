"""Records between separators: how every format is split, the format `lines` itself, and the columns of its lines."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gristmill.producer.items.charset import undecodable

#: bytes (in UTF-8) of the longest item
ITEM_BYTES = 1024 * 1024

TOO_LONG = "longer than 1 MiB"
HAS_NUL = "contains a NUL byte; use -0 if items end with NUL, --encoding utf-16 if it is UTF-16"


class Raw(NamedTuple):
    """One item as it was read, before it is checked against the task's schema.

    `number` counts from 1: the line it starts on, or the argument. `value` is a str of `lines` and of
    arguments, a JSON value of `jsonl`, a dict[str, str] of `csv`; None when `error` says why it is bad.
    """

    number: int
    value: object
    error: str | None = None


def runs(blocks: Iterable[bytes], separator: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield (whole records with their separators, True), and (a piece of a too long record, False).

    A record is too long when more than ITEM_BYTES stand before its separator; only its last piece ends
    with one. The last record of all may lack its separator. Holds ITEM_BYTES and two blocks at most;
    blocks are shorter than ITEM_BYTES.
    """
    buffer, overlong = bytearray(), False  # an unfinished record; whether pieces of it were yielded already
    for block in blocks:
        rest = block
        if buffer or overlong:
            head, mark, rest = block.partition(separator)
            buffer += head
            overlong = overlong or len(buffer) > ITEM_BYTES
            buffer += mark
            if mark or overlong:
                yield bytes(buffer), not overlong
                buffer.clear()
                overlong = overlong and not mark
        end = rest.rfind(separator) + 1
        if end:
            yield rest[:end], True
        buffer += rest[end:]
    if buffer:
        yield bytes(buffer), True


def lines(blocks: Iterable[bytes], encoding: str, *, nul: bool = False, any_bytes: bool = False) -> Iterator[Raw]:
    """Yield the lines of UTF-8 `blocks` without their ends (LF, CRLF), otherwise unchanged; skip blank ones.

    With `nul` a record ends with NUL and may hold anything else; only empty ones are skipped. With `any_bytes` a byte
    that is not UTF-8 becomes a lone surrogate.
    A record that is too long, not in `encoding` or has a NUL inside comes with its error.
    """
    end = "\0" if nul else "\n"
    separator, number, overlong = end.encode(), 0, False
    for run, whole in runs(blocks, separator):
        if whole:
            text = clean(run, nul=nul)
            if text is None:
                yield from _one_by_one(run, number, encoding, nul, "surrogateescape" if any_bytes else "strict")
            else:
                if not nul and "\r" in text:
                    text = text.replace("\r\n", "\n")
                for place, line in enumerate(text.split(end), number + 1):
                    if line and (nul or not line.isspace()):
                        yield Raw(place, line)
        elif not overlong:
            yield Raw(number + 1, None, TOO_LONG)
        number += run.count(separator)
        overlong = not whole and not run.endswith(separator)


def clean(run: bytes, *, nul: bool = False) -> str | None:
    """The text of a run, or None when one of its records has a fault (see `fault`)."""
    try:
        text = run.decode()
    except UnicodeDecodeError:
        return None
    return text if nul or "\0" not in text else None


def fault(record: bytes, encoding: str, errors: str = "strict") -> str | None:
    """What is wrong with the bytes of one record, if anything: it is not in `encoding`, or has a NUL within."""
    try:
        record.decode(errors=errors)
    except UnicodeDecodeError:
        return undecodable(record, encoding)
    return HAS_NUL if b"\0" in record else None


def _one_by_one(run: bytes, number: int, encoding: str, nul: bool, errors: str) -> Iterator[Raw]:
    for place, record in enumerate(run.split(b"\0" if nul else b"\n"), number + 1):
        error = fault(record, encoding, errors)
        if error is not None:
            yield Raw(place, None, error)
            continue
        text = record.decode(errors=errors)
        text = text if nul else text.removesuffix("\r")
        if text and (nul or not text.isspace()):
            yield Raw(place, text)


def split_lines(records: Iterable[Raw], separator: str, columns: Sequence[str]) -> Iterator[Raw]:
    """Yield the columns of lines that `separator` splits: by name where `columns` names them, else as a list."""
    for raw in records:
        if raw.error is not None:
            yield raw
            continue
        assert isinstance(raw.value, str)  # noqa: S101 (what `lines` yields without an error)
        values = raw.value.split(separator)
        if not columns:
            yield Raw(raw.number, values)
        elif len(values) == len(columns):
            yield Raw(raw.number, dict(zip(columns, values, strict=True)))
        else:
            yield Raw(raw.number, None, f"has {len(values)} columns (expected {', '.join(columns)})")
