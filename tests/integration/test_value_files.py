"""Values that are too large for the server: in files below the shared data root, written, read back, and refused."""

import asyncio
import json
from datetime import date

import pytest
from redis.exceptions import ConnectionError as Away

from gristmill import aio, open_batch
from gristmill.batches.chunk import Item
from gristmill.batches.shared_root import SharedRoot
from gristmill.batches.value_file import VALUES, ValueFile
from gristmill.cli.output.result_lines import ResultWriter
from gristmill.config.settings import settings
from gristmill.errors import ItemFailed, SettingError
from gristmill.tasks import catalog
from gristmill.worker.slot import large_value
from gristmill.worker.slot.large_value import ValueNotPlaced
from gristmill.worker.slot.runner import run_named
from tests.support.large_values import LARGE, TASKS, days, files, long_later, run_all, run_next, submit
from tests.support.ledger import pop


@pytest.fixture
def use(here, monkeypatch):
    """Set settings for this test."""
    catalog.load().update(TASKS)

    def set_all(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"GRISTMILL_{name.upper()}", str(value))
        settings.cache_clear()

    return set_all


@pytest.fixture
def root(use, tmp_path):
    """The data root, which all hosts share."""
    use(data_root=tmp_path, shared_data_root="true")
    return tmp_path


def test_a_large_value_is_read_back_by_every_reader(here, root, capsys):
    submit(here, "long_text", [3, LARGE, 4, LARGE + 1])
    run_all(here)
    batch, expected = open_batch("b"), ["ä" * size for size in (3, LARGE, 4, LARGE + 1)]
    assert list(batch.values()) == expected
    assert [result.value for result in batch.results(follow=False)] == expected
    assert sorted((result.value for result in batch), key=len) == sorted(expected, key=len)
    assert [len(json.loads(result.to_json())["value"]) for result in batch] == [3, LARGE, 4, LARGE + 1]
    assert [file.rpartition("/")[2].partition("-")[0] for file in files(root)] == ["1", "3"]
    # The server has references.
    assert all(len(text) < 1000 for text in here.client.hvals(here.key("b", "out:0")))

    async def read():
        own = await aio.open_batch("b")
        return [value async for value in own.values()], [one.value async for one in own.results(follow=False)]

    assert asyncio.run(read()) == (expected, expected)
    with ResultWriter("jsonl") as writer:
        writer.write_all(batch.present(values=writer.needs_values))
    assert [json.loads(line)["value"] for line in capsys.readouterr().out.splitlines()] == expected
    with ResultWriter("csv") as writer:
        writer.write_all(batch.present(values=writer.needs_values))
    assert "ä" * LARGE in capsys.readouterr().out


def test_on_a_terminal_a_large_value_is_its_size(here, root, capsys, monkeypatch):
    monkeypatch.setattr("gristmill.cli.output.result_text.is_cut", lambda terminal: terminal)
    submit(here, "long_text", [LARGE])
    run_all(here)
    (root.joinpath(*VALUES) / files(root)[0]).unlink()
    with ResultWriter("text") as writer:
        writer.write_all(open_batch("b").present(values=writer.needs_values))
    assert "(2M in a file)" in capsys.readouterr().out


def test_a_value_has_the_type_of_its_annotation(here, root):
    submit(here, "days", [100_000])
    run_all(here)
    assert len(files(root)) == 1
    (value,) = open_batch("b", task=days).values()
    assert value == [date(2026, 11, 27)] * 100_000


def test_the_loop_of_coroutines_writes_files_too(here, root):
    submit(here, "long_later", [LARGE, 1])
    run_all(here, "io")
    assert list(open_batch("b", task=long_later).values()) == [b"x" * LARGE, b"x"]
    assert len(files(root)) == 1


def test_a_value_in_the_form_of_a_reference_is_a_value(here, root):
    submit(here, "look_alike", [0, 1])
    run_all(here)
    assert [value["sha256"] for value in open_batch("b").values()] == ["0" * 64] * 2
    assert not files(root)


def failure(batch="b"):
    (result,) = open_batch(batch).results(follow=False)
    return result.state, result.error and result.error["type"], result.error and result.error["message"]


def test_where_the_data_root_is_not_shared_the_item_fails(here, use, tmp_path):
    use(data_root=tmp_path)
    submit(here, "long_text", [LARGE])
    run_all(here)
    state, kind, message = failure()
    assert (state, kind) == ("failed", "ResultTooLarge")
    assert "GRISTMILL_SHARED_DATA_ROOT" in message
    assert not list(tmp_path.iterdir())


def test_a_value_beyond_the_limit_fails_its_item(here, root, use):
    use(value_bytes="2M")
    submit(here, "long_text", [LARGE])
    run_all(here)
    state, kind, message = failure()
    assert (state, kind) == ("failed", "ResultTooLarge")
    assert "GRISTMILL_VALUE_BYTES" in message
    assert not files(root)


def test_a_worker_whose_data_root_is_another_one_writes_nothing_there(here, root, use):
    SharedRoot(here.client, settings()).establish()
    other = root / "other"
    other.mkdir()
    use(data_root=other)
    submit(here, "long_text", [LARGE])
    run_all(here)
    state, kind, message = failure()
    assert (state, kind) == ("failed", "ResultTooLarge")
    assert f"{other}/.gristmill/root-" in message
    assert not list(other.iterdir())


def test_a_folder_that_cannot_be_made_fails_the_item_by_its_path(here, root):
    SharedRoot(here.client, settings()).establish()
    root.joinpath(*VALUES).write_text("in the way")
    submit(here, "long_text", [LARGE])
    run_all(here)
    state, kind, message = failure()
    assert (state, kind) == ("failed", "NotADirectoryError")
    assert str(root.joinpath(*VALUES)) in message


@pytest.mark.parametrize("changes", [{"shared_data_root": "false"}, {"data_root": "/nowhere"}])
def test_a_reader_that_does_not_see_the_files_is_told_the_setting(here, root, use, changes):
    submit(here, "long_text", [LARGE])
    run_all(here)
    use(**changes)
    with pytest.raises(SettingError, match=r"item 0.*b\.[0-9a-f]{32}/0-1-.*GRISTMILL_"):
        list(open_batch("b").values())


@pytest.mark.parametrize("damage", ["missing", "short", "other"])
def test_a_damaged_file_is_shown_and_the_others_are_read(here, root, damage):
    submit(here, "long_text", [LARGE, LARGE, 3])
    run_all(here)
    path = root.joinpath(*VALUES) / files(root)[0]
    text = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(text[:-1] if damage == "short" else text[:-3] + b"xx" + text[-1:])
    first, second, third = open_batch("b").results(in_order=True, consume=True)
    assert (first.state, first.error["type"]) == ("failed", "UnreadableOutcome")
    assert str(path) in first.error["message"]
    assert (len(second.value), third.value) == (LARGE, "äää")
    # What could not be read was not consumed.
    assert [result.index for result in open_batch("b").results(follow=False)] == [0]
    with pytest.raises(ItemFailed):
        list(open_batch("b").values())


def test_a_server_that_does_not_answer_makes_no_outcome(here, root, monkeypatch):
    submit(here, "long_text", [LARGE])
    chunk = pop(here)
    work = here.take(chunk)

    def away(*_args):
        raise Away("gone")

    monkeypatch.setattr(large_value, "patiently", away)
    with pytest.raises(ValueNotPlaced):
        run_named(work, "cpu@a", 0, Item(0, LARGE, 1))


@pytest.mark.parametrize(
    "path", ["../x", "b/0-1-0000000000000000.json", f"b.{'0' * 32}/../../x", f"..{'0' * 32}/0-1-{'0' * 16}.json", 7]
)
def test_a_reference_cannot_name_another_file(path):
    with pytest.raises(ValueError, match="invalid path"):
        ValueFile.of({"path": path, "bytes": 1, "sha256": ""})


def test_no_symlink_is_followed(here, root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    submit(here, "long_text", [LARGE, LARGE])
    here.client.hset(here.key("b", "state"), "value_folder", folder := f"b.{'0' * 32}")
    root.joinpath(*VALUES).mkdir(parents=True)
    root.joinpath(*VALUES, folder).symlink_to(outside)
    run_next(here)
    assert {result.state for result in open_batch("b").results(follow=False)} == {"failed"}
    assert not list(outside.iterdir())


def test_the_declaration_needs_a_data_root(use, monkeypatch):
    monkeypatch.delenv("GRISTMILL_DATA_ROOT", raising=False)
    use(shared_data_root="true")
    with pytest.raises(SettingError, match="GRISTMILL_DATA_ROOT"):
        settings()
