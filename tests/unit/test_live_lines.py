"""What items write is sent while they run, to those who listen."""

import sys

import pytest

from gristmill.worker.output import live_lines, thread_capture
from gristmill.worker.output.live_lines import LiveLines
from tests.conftest import until


@pytest.fixture
def said():
    """What was sent; the batch `unheard` has no listener."""
    return []


@pytest.fixture
def live(said):
    def say(batch, lines):
        said.append((batch, lines))
        return batch != "unheard"

    return LiveLines(say)


def test_each_batch_is_sent_its_lines_once(live, said):
    live.add("a", 3, b"one\n")
    live.add("a", 4, b"two\n")
    live.add("b", 0, b"\xff")
    live.send()
    live.send()
    assert said == [("a", [(3, "one\n"), (4, "two\n")]), ("b", [(0, r"\xff")])]


def test_a_batch_without_listeners_is_left_alone_for_a_while(live, said, monkeypatch):
    for seconds in (60, 0):
        monkeypatch.setattr(live_lines, "DEAF_SECONDS", seconds)
        said.clear()
        live._deaf.clear()
        for _ in range(2):
            live.add("unheard", 0, b"text\n")
            live.send()
        assert len(said) == (1 if seconds else 2)


def test_what_is_written_too_fast_is_left_out(live, said):
    for _ in range(10):
        live.add("a", 0, b"x" * live_lines.WAITING_BYTES)
    live.send()
    ((_, lines),) = said
    assert len(lines) == 2


def test_threads_send_whole_lines_and_at_last_the_rest(live, said, monkeypatch):
    monkeypatch.setattr(sys, "stdout", thread_capture.ItemStream(sys.stdout))
    items = thread_capture.ThreadCapture(live)
    items.begin("a", 7, captures=True)
    sys.stdout.write("one\ntw")
    items.end(keep=False)
    while not said or not said[-1][1][-1][1].endswith("tw"):
        items.send()
    assert [line for _, lines in said for line in lines] == [(7, "one\n"), (7, "tw")]


def test_the_thread_that_sends_sleeps_while_there_is_nothing_to_send(live, said, monkeypatch):
    slept = []
    monkeypatch.setattr(thread_capture, "sleep", slept.append)
    monkeypatch.setattr(sys, "stdout", thread_capture.ItemStream(sys.stdout))
    items = thread_capture.ThreadCapture(live)
    items.begin("a", 7, captures=True)
    for number in (1, 2):
        sys.stdout.write(f"{number}\n")
        until(lambda number=number: len(said) == number, what="lines that were sent")
    items.end(keep=False)
    # Threads of earlier tests may be among those that sleep.
    assert len(slept) < 6
