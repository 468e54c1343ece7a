"""What becomes of files of values that count for nothing: a sweep deletes them, and never one that may be recorded."""

import pytest

from gristmill import open_batch
from gristmill.batches.shared_root import SharedRoot
from gristmill.batches.value_file import VALUES
from gristmill.batches.value_sweep import ValueSweep
from gristmill.cli.findings.data_root import shared_root
from gristmill.config.settings import settings
from gristmill.fleet.registry import LiveWorker
from gristmill.tasks import catalog
from gristmill.worker.slot.runner import Runner
from gristmill.worker.upkeep.value_sweeper import ValueSweeper
from tests.support.large_values import LARGE, TASKS, files, run_all, submit
from tests.support.ledger import WORKER, info, let_time_pass, pop


@pytest.fixture
def root(here, monkeypatch, tmp_path):
    """The data root, which all hosts share."""
    catalog.load().update(TASKS)
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("GRISTMILL_SHARED_DATA_ROOT", "true")
    settings.cache_clear()
    return tmp_path


@pytest.fixture
def sweep(here, root):
    """Sweep as another worker does."""
    return lambda: ValueSweep(here.client, settings()).sweep()


def unrecorded(ledger, chunk, monkeypatch):
    """Run a chunk whose worker ends before it records: its files are there."""
    with monkeypatch.context() as patch:

        def killed(*_args):
            raise SystemExit

        patch.setattr(Runner, "end", killed)
        with pytest.raises(SystemExit):
            Runner(ledger, settings()).run(chunk, WORKER)


def sizes(name="b"):
    return [len(value) for value in open_batch(name).values(max_wait=30)]


def test_a_file_may_be_recorded_until_its_item_has_an_outcome(here, root, sweep, monkeypatch):
    submit(here, "long_text", [LARGE])
    chunk = pop(here)
    unrecorded(here, chunk, monkeypatch)
    (orphan,) = files(root)
    folder = root.joinpath(*VALUES, orphan.partition("/")[0])
    # Another worker was killed while it wrote.
    folder.joinpath(".0-1-00000000000000aa.part").write_text("half")
    folder.joinpath("stranger").write_text("not ours")
    assert sweep() == 0
    Runner(here, settings()).run(chunk, WORKER)
    assert (info(here, "b").succeeded, sizes()) == (1, [LARGE])
    assert len(files(root)) == 4
    assert sweep() == 2
    assert orphan not in files(root)
    assert sizes() == [LARGE]
    assert sweep() == 0


def test_the_file_of_a_duplicate_goes_and_the_recorded_one_stays(here, root, sweep, monkeypatch):
    submit(here, "long_text", [LARGE])
    chunk = pop(here)
    work = here.take(chunk)
    Runner(here, settings()).run(chunk, WORKER)
    sweep()
    recorded = files(root)
    # The same items on a worker that began before, and records after.
    monkeypatch.setattr(here, "take", lambda *_args: work)
    Runner(here, settings()).run(chunk, WORKER)
    assert (info(here, "b").duplicates, len(files(root))) == (1, 2)
    assert sweep() == 1
    assert files(root) == recorded
    assert sizes() == [LARGE]


def test_a_late_record_after_a_sweep_still_counts(here, root, sweep, monkeypatch):
    """A worker that stands still between its file and its record loses nothing to any number of sweeps."""
    submit(here, "long_text", [LARGE, 3])
    end = Runner.end

    def late(self, *args):
        for _ in range(3):
            sweep()
            here.client.delete(here.settings.key("value_sweep"))
        return end(self, *args)

    monkeypatch.setattr(Runner, "end", late)
    run_all(here)
    assert sizes() == [LARGE, 3]


def test_the_files_of_cancelled_items_stay_until_the_batch_has_finished(here, root, sweep, monkeypatch):
    submit(here, "long_text", [LARGE, LARGE], chunk_seconds=0.000001)
    chunk = pop(here)
    unrecorded(here, chunk, monkeypatch)
    number = len(files(root))
    open_batch("b").cancel(item=0)
    assert (sweep(), len(files(root))) == (0, number)
    open_batch("b").cancel()
    let_time_pass(here, "b")
    assert info(here, "b").left == 0
    assert sweep() == number
    assert not files(root)


def test_an_attempt_that_failed_leaves_no_file(here, root, sweep, control):
    submit(here, "long_text", [LARGE])
    run_all(here)
    folder = root.joinpath(*VALUES, files(root)[0].partition("/")[0])
    submit(here, "long_text", ["null"], name="failing")
    run_all(here)
    assert info(here, "failing").failed == 1
    here.client.hset(here.key("failing", "state"), "value_folder", "failing." + "0" * 32)
    here.client.hset(here.settings.key("value_folders"), "failing." + "0" * 32, "failing ")
    other = folder.with_name("failing." + "0" * 32)
    other.mkdir()
    control.retry("failing")
    for attempt in (1, 2):
        other.joinpath(f"0-{attempt}-00000000000000aa.json").write_text("late")
    assert sweep() == 1
    assert [file.partition("/")[2] for file in files(root) if "failing" in file] == ["0-2-00000000000000aa.json"]


def test_consumed_values_go(here, root, sweep):
    submit(here, "long_text", [LARGE, LARGE])
    run_all(here)
    sweep()
    results = open_batch("b").results(consume=True, in_order=True)
    assert [len(result.value) for result in results] == [LARGE, LARGE]
    assert sweep() == 2
    assert not files(root)


@pytest.mark.parametrize("end", ["delete", "expire"])
def test_the_folder_of_a_batch_that_is_gone_goes(here, root, sweep, end):
    submit(here, "long_text", [LARGE])
    submit(here, "long_text", [LARGE], name="other")
    run_all(here)
    (folder,) = {file.partition("/")[0] for file in files(root) if file.startswith("b.")}
    if end == "delete":
        open_batch("b").delete()
    else:
        here.client.delete(*here.client.keys(here.key("b", "*")))
    # A batch of that name has a folder of its own.
    submit(here, "long_text", [LARGE])
    run_all(here)
    assert sweep() == 1
    assert not root.joinpath(*VALUES, folder).exists()
    assert (sizes("b"), sizes("other")) == ([LARGE], [LARGE])
    # A process that had begun to write.
    root.joinpath(*VALUES, folder).mkdir()
    root.joinpath(*VALUES, folder, "0-1-00000000000000aa.json").write_text("late")
    assert sweep() == 1
    assert folder not in here.client.hgetall(here.settings.key("value_folders"))
    assert (sizes("b"), sizes("other")) == ([LARGE], [LARGE])


def test_a_symlink_in_place_of_a_folder_is_not_followed(here, root, sweep, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    outside.joinpath("0-1-00000000000000aa.json").write_text("mine")
    here.client.hset(here.settings.key("value_folders"), folder := "b." + "0" * 32, "b ")
    SharedRoot(here.client, settings()).establish()
    root.joinpath(*VALUES).mkdir(parents=True)
    root.joinpath(*VALUES, folder).symlink_to(outside)
    with pytest.raises(NotADirectoryError, match=folder):
        sweep()
    assert len(list(outside.iterdir())) == 1


def test_one_worker_sweeps_and_none_does_on_another_data_root(here, root, monkeypatch):
    submit(here, "long_text", [LARGE])
    run_all(here)
    open_batch("b").delete()
    first, second = ValueSweep(here.client, settings()), ValueSweep(here.client, settings())
    assert (first.claim(), second.claim()) == (True, False)
    other = root / "other"
    other.mkdir()
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(other))
    settings.cache_clear()
    # Twice: the second sweep of a batch that is gone would be the last one.
    assert [ValueSweep(here.client, settings()).sweep() for _ in range(2)] == [0, 0]
    assert len(here.client.hgetall(here.settings.key("value_folders"))) == 1
    assert first.sweep() == 1


def findings(ledger, *workers):
    return [(one.state, bool(one.advice)) for one in shared_root(ledger.client, list(workers))]


def test_a_host_that_does_not_see_the_shared_data_root_is_named(here, root, monkeypatch, caplog):
    sweeper = ValueSweeper()
    sweeper.look()
    mark = SharedRoot(here.client, settings()).mark()
    assert sweeper.root == "seen"
    assert findings(here, LiveWorker("cpu@a", shared_root="seen")) == [(f"shared: {mark} is there", False)]
    other = root / "other"
    other.mkdir()
    monkeypatch.setenv("GRISTMILL_DATA_ROOT", str(other))
    settings.cache_clear()
    away = ValueSweeper()
    away.look()
    away.look()
    assert away.root == "missing"
    assert len([record for record in caplog.records if "GRISTMILL_DATA_ROOT" in record.getMessage()]) == 1
    rows = findings(
        here, LiveWorker("cpu@a", shared_root="seen"), LiveWorker("cpu@b", shared_root="missing"), LiveWorker("io@c")
    )
    assert rows == [
        (f"not the shared one: no {other}/.gristmill/{mark.rpartition('/')[2]}", True),
        ("not the shared one on cpu@b", True),
        ("not declared as shared on io@c", True),
    ]
    monkeypatch.setenv("GRISTMILL_SHARED_DATA_ROOT", "false")
    settings.cache_clear()
    assert findings(here, LiveWorker("cpu@a")) == []
