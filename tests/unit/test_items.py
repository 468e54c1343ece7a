"""Where items come from: arguments, files, pipes and standard input, however slow."""

import io
import os
import select
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from gristmill.errors import InputError
from gristmill.producer.items import ITEM_BYTES, arguments, blocks
from tests.support.reading import Write, faults, from_path, good, stdin_fixture, write_fixture  # noqa: F401


def test_arguments_are_items_as_they_are_also_an_empty_one() -> None:
    source = arguments(["a", " 30 ", "", "x\ny"])
    assert good(source) == [(1, "a"), (2, " 30 "), (3, ""), (4, "x\ny")]
    assert good(source) == good(source)
    assert source.text
    assert source.regular
    assert source.columns() is None
    assert source.place(3) == "argument 3"


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


def test_reads_that_return_less_than_asked_lose_nothing(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with pytest.raises(InputError, match=r"--input-format: 'xml' .expected one of lines, jsonl, csv"):
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
def test_a_slow_stream_gives_each_item_as_soon_as_it_is_written(
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
