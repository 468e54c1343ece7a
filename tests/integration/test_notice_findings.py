"""What `doctor` and `run` say of notices that are not delivered."""

import pytest

from gristmill.batches.notices import Notices
from gristmill.cli import notice
from gristmill.cli.notice import await_notice, notice_findings
from gristmill.producer.batches import open_batch
from tests.support.ledger import run_all, submit

URL = "https://hooks.example/hidden"


class Fleet:
    """The fleet of a `run`; each look at it is a chance for a worker."""

    def __init__(self, work=lambda: None):
        self.watch = work


@pytest.fixture
def notices(here):
    for name in ("one", "two"):
        submit(here, name, 1, notify=URL)
    run_all(here)
    return Notices(here.client, here.settings)


def test_each_receiver_has_a_line(here, notices):
    assert list(notice_findings(here.client)) == [], "nobody has tried"
    claimed = [notices.claim(60) for _ in range(2)]
    notices.put_off(claimed[0], "answered 500", 60)
    notices.give_up(claimed[1], "answered 410")
    lines = list(notice_findings(here.client))
    assert [finding.check for finding in lines] == ["notices", "notices"]
    assert all("https://hooks.example: 1 " in finding.state for finding in lines)
    assert [word in finding.state for word, finding in zip(("410", "500"), lines, strict=True)] == [True, True]
    assert all(finding.advice for finding in lines)
    assert "hidden" not in str(lines)
    notices.note_delivery(claimed[0])
    assert len(list(notice_findings(here.client))) == 1


def test_run_waits_for_the_first_try(here, notices, capsys):
    await_notice(open_batch("one"), Fleet(lambda: deliver(notices)))
    assert capsys.readouterr().err == ""
    assert {open_batch(name).info().notice["state"] for name in ("one", "two")} == {"delivered"}


def deliver(notices):
    while claimed := notices.claim(60):
        notices.note_delivery(claimed)


def test_run_says_that_the_try_failed(here, notices, capsys):
    await_notice(open_batch("one"), Fleet(lambda: notices.put_off(notices.claim(60), "answered 500", 60)))
    assert "answered 500" in capsys.readouterr().err


def test_run_does_not_wait_for_ever(here, notices, capsys, monkeypatch):
    monkeypatch.setattr(notice, "WAIT_SECONDS", 0.2)
    await_notice(open_batch("one"), Fleet())
    assert "one" in capsys.readouterr().err


def test_run_does_not_wait_for_what_nobody_is_told(here, capsys):
    submit(here, "three", 1)
    run_all(here)
    await_notice(open_batch("three"), Fleet())
    assert capsys.readouterr().err == ""
