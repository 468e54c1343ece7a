"""What the tests of reading items share: inputs of every kind, and what was read from them."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gristmill.producer.items import Reading, Source, blocks, from_paths

Write = Callable[[bytes | str], str]


@pytest.fixture(name="write")
def write_fixture(tmp_path: Path) -> Write:
    """Writes items.txt and returns its path."""

    def written(content: bytes | str) -> str:
        path = tmp_path / "items.txt"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return written


@pytest.fixture(name="stdin")
def stdin_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Makes a pipe standard input; the end to write to."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield writer


@pytest.fixture(name="block_bytes", params=[1, 2, 3, 5, blocks.BLOCK_BYTES])
def block_bytes_fixture(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Reads in blocks of so many bytes: no rule may depend on where they are cut."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", request.param)
    return int(request.param)


def from_path(path: str, form: str | None = None, encoding: str | None = None, *, nul: bool = False) -> Source:
    """The items in one file."""
    return from_paths([path], Reading(form, encoding, nul))


def good(source: Source) -> list[tuple[int, object]]:
    """All items; fails on a bad one."""
    raws = list(source.open())
    assert [raw.error for raw in raws] == [None] * len(raws)
    return [(raw.number, raw.value) for raw in raws]


def faults(source: Source) -> dict[int, str]:
    """The errors by number; each bad item has no value."""
    bad = [raw for raw in source.open() if raw.error is not None]
    assert all(raw.value is None for raw in bad)
    return {raw.number: str(raw.error) for raw in bad}


def mixed(source: Source) -> list[tuple[int, object]]:
    """All items, an error in place of a bad one's value."""
    return [(raw.number, raw.error or raw.value) for raw in source.open()]


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
sizes = st.integers(1, 9)
quickly = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_back(content: bytes, write: Write, size: int, *options: str, nul: bool = False) -> list[object]:
    with mock.patch.object(blocks, "BLOCK_BYTES", size):
        return [value for _, value in good(from_path(write(content), *options, nul=nul))]
