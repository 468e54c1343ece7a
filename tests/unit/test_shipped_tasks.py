"""The tasks that ship, as far as they need no server."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gristmill.config.settings import load
from gristmill.tasks import data_root
from gristmill.tasks.announce import announce
from gristmill.tasks.digest import digest
from gristmill.tasks.fibonacci import fibonacci
from gristmill.tasks.pause import pause
from gristmill.tasks.schema import ItemError
from gristmill.tasks.task import GristmillTask


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root, with a file outside of it."""
    top = tmp_path / "root"
    top.mkdir()
    (tmp_path / "secret").write_text("secret")
    chosen = load({"GRISTMILL_HOME": str(tmp_path), "GRISTMILL_DATA_ROOT": str(top)})
    monkeypatch.setattr(data_root, "settings", lambda: chosen)
    return top


def _refused(task: GristmillTask, **arguments: Any) -> str:
    with pytest.raises(ItemError) as caught:
        task.schema.arguments(arguments, {}, "")
    return str(caught.value)


# fibonacci


@pytest.mark.parametrize("method", ["naive", "doubling"])
def test_fibonacci_matches_the_table(method: str) -> None:
    table = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181, 6765]
    assert [fibonacci(n, method) for n in range(21)] == table


def test_fibonacci_doubling_matches_adding() -> None:
    this, following = 0, 1
    for n in range(1500):
        assert fibonacci(n, "doubling") == this
        this, following = following, this + following


def test_fibonacci_is_text_when_json_numbers_end() -> None:
    assert isinstance(fibonacci(20_573, "doubling"), int)
    longer = fibonacci(20_600, "doubling")
    assert isinstance(longer, str)
    assert len(longer) > 4300
    digits = fibonacci(100_000, "doubling")
    assert (len(digits), digits[:10], digits[-10:]) == (20_899, "2597406934", "3428746875")


def test_fibonacci_of_the_limit_fits_a_result() -> None:
    assert len(fibonacci(5_000_000, "doubling")) == 1_044_938


@pytest.mark.parametrize(
    "arguments",
    [{"n": -1}, {"n": 51}, {"n": 5_000_001, "method": "doubling"}, {"n": 5, "method": "matrix"}, {"n": 1.5}],
)
def test_fibonacci_refuses(arguments: dict[str, Any]) -> None:
    assert "invalid value for " in _refused(fibonacci, **arguments)


def test_fibonacci_says_which_method_takes_more() -> None:
    text = _refused(fibonacci, n=51)
    assert all(part in text for part in ("n: 51 ", "0 to 50", "'naive'", "'doubling'"))


# pause, announce


def test_pause_returns_its_seconds() -> None:
    assert pause(0.01) == 0.01
    for seconds in (-1, 86_401, float("nan"), float("inf")):
        _refused(pause, seconds=seconds)


def test_announce_takes_turns_in_two_threads() -> None:
    both = threading.Barrier(2)

    def run(label: str) -> dict[str, Any]:
        both.wait(10)
        result: dict[str, Any] = announce(label, 5, 0.05)
        return result

    with ThreadPoolExecutor(2, thread_name_prefix="slot") as pool:
        numbers, letters = pool.map(run, ["numbers", "letters"])
    assert [one["what"] for one in numbers["said"]] == ["1", "2", "3", "4", "5"]
    assert [one["what"] for one in letters["said"]] == ["a", "b", "c", "d", "e"]
    assert numbers["thread"] != letters["thread"]
    # Each began before the other ended.
    assert numbers["said"][0]["at"] < letters["said"][-1]["at"]
    assert letters["said"][0]["at"] < numbers["said"][-1]["at"]


@pytest.mark.parametrize("arguments", [{"label": "words"}, {"label": "letters", "count": 27}])
def test_announce_refuses(arguments: dict[str, Any]) -> None:
    _refused(announce, **arguments)


# digest, and the data root


def test_digest_reads_a_file(root: Path) -> None:
    content = os.urandom((2 << 20) + 5)
    (root / "sub").mkdir()
    (root / "sub" / "file").write_bytes(content)
    wanted = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    for path in ("sub/file", "sub/../sub/file", str(root / "sub" / "file")):
        assert digest(path) == {"path": path, **wanted}


def test_digest_follows_symlinks_under_the_root(root: Path) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "file").write_text("x")
    (root / "directory").symlink_to("sub")
    (root / "direct").symlink_to(root / "sub" / "file")
    assert digest("directory/file")["bytes"] == digest("direct")["bytes"] == 1


@pytest.mark.parametrize("path", ["", "a\0b", "..", "../secret", "a/../../secret", "/etc/passwd", "\ud800"])
def test_paths_outside_the_root_are_refused_before_anything_is_sent(root: Path, path: str) -> None:
    with pytest.raises(data_root.DataRootError, match=r" path: "):
        data_root.check_path(path)
    with pytest.raises(data_root.DataRootError):
        digest(path)


def test_without_a_data_root_absolute_paths_are_checked_by_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = load({"GRISTMILL_HOME": str(tmp_path)})
    monkeypatch.setattr(data_root, "settings", lambda: chosen)
    monkeypatch.chdir(tmp_path)
    assert data_root.root() == tmp_path
    data_root.check_path("/etc/passwd")
    with pytest.raises(data_root.DataRootError, match="data root"):
        digest("/etc/passwd")


@pytest.mark.parametrize("link", ["../secret", "/etc/passwd", "loop"])
def test_symlinks_out_of_the_root_are_refused(root: Path, link: str) -> None:
    (root / "loop").symlink_to("loop")
    (root / "link").symlink_to(link)
    with pytest.raises((data_root.DataRootError, OSError)):
        digest("link")


def test_a_directory_swapped_for_a_symlink_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "secret").write_text("harmless")
    resolve = data_root.parts_below

    def swap(top: Path, path: str, name: str) -> tuple[str, ...]:
        parts = resolve(top, path, name)
        (root / "sub").rename(root / "old")
        (root / "sub").symlink_to("..")
        return parts

    monkeypatch.setattr(data_root, "parts_below", swap)
    with pytest.raises(OSError, match="sub/secret"):
        digest("sub/secret")


def test_only_regular_files_are_read(root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "sub").mkdir()
    for path in ("fifo", "sub", "."):
        with pytest.raises(data_root.DataRootError, match="a regular file"):
            digest(path)
    with pytest.raises(FileNotFoundError, match="sub/none"):
        digest("sub/none")


def test_a_new_file_appears_whole_or_not_at_all(root: Path) -> None:
    with data_root.new_file("a/b") as file:
        file.write(b"whole")
        assert file.publish("name") == "a/b/name"
    assert (root / "a" / "b" / "name").read_bytes() == b"whole"

    def fail() -> None:
        with data_root.new_file("a/b") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((root / "a" / "b").iterdir()) == [root / "a" / "b" / "name"]


def test_a_new_file_does_not_leave_the_root(root: Path) -> None:
    (root / "out").symlink_to("..")
    for directory in ("..", "out", "out/new", "/tmp"):
        with pytest.raises(data_root.DataRootError, match="save"), data_root.new_file(directory, "save"):
            pass
    assert sorted(root.parent.iterdir()) == [root, root.parent / "secret"]
