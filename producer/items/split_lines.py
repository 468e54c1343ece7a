"""Lines whose columns a text separates, without quotes and without a header."""

from collections.abc import Iterable, Iterator, Sequence

from gristmill.producer.items.lines import Raw


def split_lines(records: Iterable[Raw], separator: str, columns: Sequence[str]) -> Iterator[Raw]:
    """Yield the columns of each line: by name where `columns` names them, else as a list."""
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
