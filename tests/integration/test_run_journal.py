"""Programs that began in a slot that was killed before the record: counted among the duplicates, each once."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest

from gristmill.batches.chunk import Outcome
from gristmill.config.settings import load
from gristmill.worker.programs import journal as run_journal
from gristmill.worker.programs.journal import RunJournal, directory
from gristmill.worker.programs.journal_sweep import JournalSweep
from tests.support.ledger import WORKER, info, pop, submit


@pytest.fixture
def settings(ledger, tmp_path, monkeypatch):
    settings = load({"GRISTMILL_PREFIX": ledger.settings.prefix, "GRISTMILL_HOME": str(tmp_path)})
    monkeypatch.setattr(run_journal, "settings", lambda: settings)
    return settings


@pytest.fixture
def sweep(ledger, settings):
    """A look at the journals; how many runs it counted."""
    return partial(JournalSweep.step, JournalSweep(ledger.client, settings))


@pytest.fixture
def chunk(ledger):
    submit(ledger, "b", 3)
    return pop(ledger)


def killed_after(work):
    """Call `work` in a process that is killed by it, or after it."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def run(chunk, *indexes, clear=False):
    """What a slot notes of a chunk."""
    journal = RunJournal()
    with journal.of(chunk):
        for index in indexes:
            journal.begin(index, 100.0 + index)
        if clear:
            journal.clear()
            journal.begin(2, 102.0)
        yield journal


def begin(chunk, *indexes, clear=False):
    next(run(chunk, *indexes, clear=clear))


def program_outcome(item, started):
    text = json.dumps({"exit": 0, "started": started, "stdout": ""})
    return Outcome(item.index, "succeeded", item.attempt, text, 0.1, WORKER, 1)


def test_what_a_killed_slot_began_is_counted_once(ledger, chunk, settings, sweep):
    killed_after(partial(begin, chunk, 0, 1))
    assert [sweep() for _ in range(2)] == [2, 0]
    assert info(ledger, "b").duplicates == 2
    assert not list(directory(settings).iterdir())


def test_a_look_counts_in_a_thread_where_a_slot_is_gone(ledger, chunk, settings):
    sweep = JournalSweep(ledger.client, settings)
    sweep.look()
    assert sweep._thread is None
    killed_after(partial(begin, chunk, 0))
    sweep.look()
    sweep._thread.join(30)
    assert info(ledger, "b").duplicates == 1


def test_what_is_recorded_is_no_duplicate(ledger, chunk, sweep):
    killed_after(partial(begin, chunk, 0, 1, clear=True))
    assert sweep() == 1
    # Recorded, and killed before the journal was cleared; and a run that another slot has recorded.
    killed_after(partial(begin, chunk, 0, 1))
    for one, started in ((chunk, 100.0), (pop(ledger), 109.0)):
        ledger.record(one, [program_outcome(ledger.take(one).items[0], started)], 0.1, WORKER)
    assert sweep() == 1
    assert info(ledger, "b").duplicates == 2


def test_a_slot_that_lives_is_left_alone(chunk, settings, sweep):
    (slot,) = [run(chunk, 0)]
    journal = next(slot)
    assert sweep() == 0
    assert len(list(directory(settings).iterdir())) == 1
    # Its server was away for too long: the items run again elsewhere.
    with pytest.raises(ConnectionError):
        slot.throw(ConnectionError())
    assert journal._descriptor == -1
    assert sweep() == 1


def test_a_cancelled_item_and_another_batch_count_none(ledger, control, chunk, sweep):
    killed_after(partial(begin, chunk, 0))
    control.cancel_item("b", 0, "by me")
    assert sweep() == 0
    killed_after(partial(begin, chunk, 1))
    ledger.delete("b")
    assert sweep() == 0
    killed_after(partial(begin, chunk, 1))
    submit(ledger, "b", 3)
    assert sweep() == 0
    assert info(ledger, "b").duplicates == 0


def test_a_count_whose_answer_was_lost_is_counted_once(ledger, chunk, settings, sweep, monkeypatch):
    killed_after(partial(begin, chunk, 0))
    (path,) = directory(settings).iterdir()
    text = path.read_bytes()
    assert sweep() == 1
    path.write_bytes(text)
    sweep()
    assert info(ledger, "b").duplicates == 1


def test_the_folder_of_a_killed_slot_is_deleted(chunk, tmp_path, sweep):
    part, other = tmp_path / ".0.abcd.part", tmp_path / "0"
    for folder in (part, other):
        folder.mkdir()
        (folder / "stdout").write_text("half")

    def write():
        journal = RunJournal()
        with journal.of(chunk):
            journal.begin(0, 1.0, str(part))
            journal.begin(1, 1.0, str(other))
            os.kill(os.getpid(), signal.SIGKILL)

    killed_after(write)
    assert sweep() == 2
    assert (part.exists(), other.exists()) == (False, True)


def test_a_line_that_was_not_written_whole_is_left_out(ledger, chunk, settings, sweep):
    killed_after(partial(begin, chunk, 0))
    (path,) = directory(settings).iterdir()
    path.write_bytes(path.read_bytes() + b"[1, 10")
    assert sweep() == 1


def test_a_file_that_is_no_journal_keeps_no_other(ledger, chunk, settings, sweep):
    killed_after(partial(begin, chunk, 0))
    for name in ("0", "z"):
        (directory(settings) / name).write_text("no journal\nat all\n")
    with pytest.raises(ValueError, match="Expecting value"):
        sweep()
    assert info(ledger, "b").duplicates == 1


def test_a_task_may_close_the_journal(chunk, settings, sweep):
    slot = run(chunk, 0)
    journal = next(slot)
    os.close(journal._descriptor)
    with Path(os.devnull).open("wb") as other:
        assert other.fileno() == journal._descriptor
        journal.begin(1, 101.0)
        journal.clear()
        assert other.fileno() != journal._descriptor
    assert sweep() == 1


def test_a_home_that_cannot_be_written_fails_no_item(chunk, tmp_path, settings, sweep):
    (tmp_path / "runs").write_text("")
    begin(chunk, 0)


def test_user_and_password_of_the_server_do_not_matter(settings):
    def of(url, prefix=""):
        return directory(load({"GRISTMILL_HOME": "/h", "GRISTMILL_REDIS_URL": url, "GRISTMILL_PREFIX": prefix}))

    assert of("redis://u:p@h:1/0") == of("redis://v:q@h:1/0") != of("redis://h:2/0")
    assert of("redis://h:1/0") != of("redis://h:1/0", "x:")
