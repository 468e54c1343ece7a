"""Lots: what a pool process reads and reports, what its worker takes back, and what goes in one lot."""

import os
import pickle
from collections import deque
from types import SimpleNamespace

import pytest
from billiard.pool import ACK, READY, TASK

from gristmill.worker.pool.celery_internals import HEAD, ReportReader
from gristmill.worker.pool.lot_pool import LIMIT_LEAST, LOT_BYTES, LOT_MOST, LOT_SECONDS, LotPool
from gristmill.worker.pool.lots import ENDED_AND_BEGUN, LOT, Inbox, Tickets


class Process:
    """A pool process between two pipes, as lists."""

    def __init__(self, *messages):
        self.messages, self.reports, self.tickets = deque(messages), [], Tickets()
        self.inbox = Inbox(
            lambda: self.messages.popleft() if self.messages else None, self.reports.append, self.tickets
        )

    def step(self):
        """Read a message and report its beginning and its end, as billiard does; answer which it was."""
        message = self.inbox.wait()
        if message is None:
            return None
        self.inbox.tell((ACK, (message[1],)))
        self.inbox.tell((READY, (message[1], None, "answer", 3)))
        return message[1]


def lot(*numbers):
    return LOT, [pickle.dumps((TASK, number)) for number in numbers]


def kinds(process):
    return [report[0] for report in process.reports]


def test_a_process_reports_an_end_with_the_next_beginning():
    process = Process(lot(1, 2, 3))
    process.tickets.issue(2)
    assert [process.step() for _ in range(4)] == [1, 2, 3, None]
    assert kinds(process) == [ACK, ENDED_AND_BEGUN, ENDED_AND_BEGUN, READY]
    ended, begun = process.reports[1][1]
    assert (pickle.loads(ended), begun) == ((1, None, "answer", 3), (2,))


def test_what_the_worker_took_back_does_not_run():
    process = Process(lot(1, 2, 3), lot(4, 5))
    process.tickets.issue(2)
    assert process.tickets.take(9) == 2
    # The end of the first message is reported alone: the process has nothing behind it any more.
    assert process.step() == 1
    assert kinds(process) == [ACK, READY]
    process.tickets.issue(1)
    assert [process.step(), process.step(), process.step()] == [4, 5, None]


def test_of_each_message_behind_the_first_one_either_the_process_or_the_worker_has_the_ticket():
    process = Process(lot(1, 2, 3, 4))
    process.tickets.issue(3)
    assert process.step() == 1
    # It has claimed 2 with the end of 1.
    assert process.tickets.take(9) == 2
    assert [process.step(), process.step()] == [2, None]


def test_a_message_alone_is_read_and_reported_as_by_celery():
    process = Process((TASK, 1), (TASK, 2))
    assert [process.step(), process.step()] == [1, 2]
    assert kinds(process) == [ACK, READY, ACK, READY]


def test_a_process_that_ends_reports_what_it_has_done():
    process = Process(lot(1, 2))
    process.tickets.issue(1)
    process.step()
    assert kinds(process) == [ACK]
    process.inbox.flush()
    process.inbox.flush()
    assert process.reports[1:] == [(READY, (1, None, "answer", 3))]


def test_an_answer_that_cannot_be_pickled_raises_where_billiard_expects_that():
    process = Process(lot(1, 2, 3))
    process.tickets.issue(2)
    process.inbox.tell((ACK, (process.inbox.wait()[1],)))
    with pytest.raises((pickle.PicklingError, AttributeError)):
        process.inbox.tell((READY, (1, None, lambda: None, 3)))
    process.inbox.tell((READY, (1, None, "an error", 3)))
    # The second end is of the same message: it claims no other one, which would be lost.
    assert [process.step() for _ in range(3)] == [2, 3, None]
    assert kinds(process) == [ACK, ENDED_AND_BEGUN, ENDED_AND_BEGUN, READY]


def test_a_process_that_was_not_forked_gets_the_reading_end_alone():
    tickets = Tickets()
    copy = Tickets(os.dup(tickets._reader))
    tickets.issue(2)
    assert (copy.take(1), tickets.take(5), copy.take(1)) == (1, 1, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        copy.issue(1)


class Job:
    def __init__(self, name="short", size=10, dropped=False, begun=False):
        self.task_name, self.size, self.begun, self.discarded = name, size, begun, False
        self.is_dropped = lambda: dropped
        self._payload, self._accepted = (b"", b"", size), begun

    def discard(self):
        self.discarded = True


@pytest.fixture
def pool():
    pool = LotPool.__new__(LotPool)
    pool._most, pool._run_seconds, pool.outbound_buffer = LOT_MOST, {}, deque()
    for _ in range(100):
        pool.note_end(Job("short"), (True, (0, "1", LOT_SECONDS / 10)))
        pool.note_end(Job("long"), (True, (0, "1", 3.0)))
    return pool


def next_lot(pool, jobs, share=100):
    pool.outbound_buffer.extend(jobs)
    return pool._next_lot(share)


def test_a_lot_is_as_long_as_its_time(pool):
    assert len(next_lot(pool, [Job() for _ in range(50)])) in (9, 10)


@pytest.mark.parametrize("name", ["long", "never seen", ""])
def test_what_may_take_long_travels_alone(pool, name):
    others = [Job() for _ in range(3)]
    assert len(next_lot(pool, [Job(name), *others])) == 1
    assert len(next_lot(pool, [Job(name)])) == 3
    assert len(pool.outbound_buffer) == 1


def test_a_lot_has_its_share_and_its_size(pool):
    assert len(next_lot(pool, [Job() for _ in range(8)], share=2)) == 2
    pool.outbound_buffer.clear()
    assert len(next_lot(pool, [Job(size=LOT_BYTES // 2) for _ in range(8)])) == 2
    pool.outbound_buffer.clear()
    pool._most = 3
    assert len(next_lot(pool, [Job() for _ in range(8)])) == 3


def test_what_was_revoked_meanwhile_is_given_to_nobody(pool):
    revoked, begun, last = Job(dropped=True), Job(begun=True), Job()
    assert next_lot(pool, [revoked, begun, last]) == [last]
    assert (revoked.discarded, begun.discarded, len(pool.outbound_buffer)) == (True, False, 0)


def test_a_task_that_becomes_long_is_long_soon_and_short_again_later(pool):
    pool.note_end(Job(), (True, (0, "1", 1.0)))
    assert len(next_lot(pool, [Job() for _ in range(8)])) == 1
    for _ in range(100):
        pool.note_end(Job(), (True, (0, "1", LOT_SECONDS / 10)))
    assert len(next_lot(pool, [])) > 1


@pytest.mark.parametrize("answer", [(False, RuntimeError()), (True, None), (True, (0, "1", None))])
def test_a_run_without_a_time_tells_nothing(pool, answer):
    before = dict(pool._run_seconds)
    pool.note_end(Job(), answer)
    assert pool._run_seconds == before


@pytest.mark.parametrize(("limit", "name"), [(None, "t"), (LIMIT_LEAST, "t"), (LIMIT_LEAST - 1, "")])
def test_a_short_time_limit_hits_no_other_message(monkeypatch, limit, name):
    pool = LotPool.__new__(LotPool)
    # Those of the whole pool are a job's too.
    for limits in ({"_timeout": limit, "_soft_timeout": None}, {"_timeout": None, "_soft_timeout": limit}):
        job = SimpleNamespace(**limits)
        monkeypatch.setattr(
            "gristmill.worker.pool.celery_internals.HookedPool.apply_async", lambda *_, job=job, **__: job
        )
        assert pool.apply_async(print, ("t",)).task_name == name
        assert pool.apply_async(print, ("t", "id", {"eta": None})).task_name == name
        # It waits for its time in the process.
        assert not pool.apply_async(print, ("t", "id", {"eta": "2026-01-01T00:00:00Z"})).task_name


def frame(value):
    text = pickle.dumps(value)
    return HEAD.pack(len(text)) + text


def test_reports_are_read_together_however_they_come():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    handler = ReportReader.__new__(ReportReader)
    handler.handle_event = None
    text, got, readers = frame((1, "a")) + frame(None) + frame((2, "b" * 100_000)) + frame((3, "c")), [], []
    try:
        run = handler._recv_message(lambda *added: readers.append(added), reader, got.append)
        for start in range(0, len(text), 30_000):
            os.write(writer, text[start : start + 30_000])
            if next(run, "end") == "end":
                break
        assert [each[0] for each in got] == [1, 2, 3]
        assert readers == [(reader, None, reader)]
        os.write(writer, frame((4, "d")) + frame((5, "e")))
        assert next(handler._recv_message(lambda *_: pytest.fail("added"), reader, got.append), "end") == "end"
        assert [each[0] for each in got] == [1, 2, 3, 4, 5]
    finally:
        os.close(reader)
        os.close(writer)
