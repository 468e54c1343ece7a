"""The log of actions: each action that changed something has one entry, with who did it, by what."""

import base64
import json
import uuid
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from gristmill.batches.audit import entries
from gristmill.batches.schedules import Draft, Schedules, definition
from gristmill.batches.timetable import Timetable
from gristmill.broker.dead_letters import DeadLetters
from gristmill.cli import cli
from gristmill.config.figures import item_count
from gristmill.errors import InputError
from gristmill.fleet.registry import WorkerRegistry
from gristmill.server.actor import acting
from gristmill.server.identity import user_at_host
from gristmill.server.scripts import Scripts
from tests.support.controlled import begin, record
from tests.support.dashboards import dashboard
from tests.support.ledger import FIELDS, heartbeat, info, run_all, submit

LETTER = {"queue": "cpu", "level": 0, "reason": "", "deaths": 0, "worker": "w", "at": 1, "message": "{}"}


def logged(ledger):
    return [(entry.action, entry.kind, entry.name, entry.detail) for entry in entries(ledger.client, ledger.settings)]


def test_controls_of_a_batch(ledger, control):
    submit(ledger, "b", 3)
    for _ in range(2):
        # The second one changes nothing.
        control.pause("b")
    for _ in range(2):
        control.resume("b")
    chunk, items = begin(ledger)
    record(ledger, chunk, items, "failed")
    assert control.retry_item("b", 0)
    control.cancel_item("b", 0, "test")
    control.cancel_item("b", 0, "test")
    chunk, items = begin(ledger)
    record(ledger, chunk, items, "failed")
    assert control.retry("b") == len(items) > 0
    assert control.cancel("b", "test", ["w/1"]) is not None
    assert control.cancel("b", "test") is None
    ledger.delete("b")
    ledger.delete("b")
    expected = [("pause", None), ("resume", None), ("retry", "item 0"), ("cancel", "item 0")]
    expected += [("retry", item_count(len(items))), ("cancel", "kill"), ("delete", None)]
    assert logged(ledger) == [(action, "batch", "b", detail) for action, detail in expected]


def test_closing(ledger, control):
    ledger.create("b", "token", {**FIELDS, "open": 1})
    assert [control.close("b") for _ in range(2)] == [True, False]
    assert logged(ledger) == [("close", "batch", "b", None)]


def test_schedules(ledger):
    schedules = Schedules(ledger.client, ledger.settings)
    timetable = Timetable.of_every(3600, schedules.now())
    draft = Draft(ledger.client, ledger.settings, definition(timetable, "once", "skip", FIELDS), 10**15)
    draft.append("s", "token", 0, ["1"], "sha")
    draft.end("s", "token", 0)
    draft.end("s", "token", 0)
    run = schedules.run("s")
    schedules.pause("s")
    schedules.pause("s")
    schedules.resume("s")
    schedules.delete("s")
    with pytest.raises(InputError):
        schedules.delete("s")
    expected = [("make", None), ("run", run), ("pause", None), ("resume", None), ("delete", None)]
    assert logged(ledger) == [(action, "schedule", "s", detail) for action, detail in expected]


def test_workers(ledger):
    ledger.heartbeat("w/1", heartbeat(), [])
    registry = WorkerRegistry(ledger.client, ledger.settings)
    for _ in range(2):
        registry.drain("w/1")
    registry.drain("w/1", stop=True)
    # What autoscale does all the time is none of somebody's actions.
    registry.resize("w/1", 3)
    for _ in range(2):
        registry.undrain("w/1")
    expected = [("drain", None), ("drain", "stop"), ("undrain", None)]
    assert logged(ledger) == [(action, "worker", "w/1", detail) for action, detail in expected]


def test_dead_letters(ledger):
    ids = [ledger.client.xadd(ledger.settings.key("dead"), LETTER) for _ in range(4)]
    dead_letters = DeadLetters(ledger.client, ledger.settings)
    assert dead_letters.drop(ids[0])
    assert not dead_letters.drop(ids[0])
    assert dead_letters.requeue_all() == 3
    assert logged(ledger) == [
        ("delete", "dead letter", ids[0], None),
        ("requeue", "dead letter", f"{ids[1]} to {ids[3]}", "3 dead letters"),
    ]


def test_a_call_that_is_repeated_has_one_entry(ledger):
    submit(ledger, "b", 3)
    call = {"batch": "b", "token": uuid.uuid4().hex, "paused": True, "actor": "command ann@host a"}
    for _ in range(3):
        assert Scripts(ledger.client, ledger.settings.prefix, "batches").call("pause", **call) == 1
    (entry,) = entries(ledger.client, ledger.settings)
    assert (entry.by, entry.via, entry.action, entry.detail) == ("ann@host a", "command", "pause", None)


def test_what_happens_by_itself_has_no_entry(ledger):
    submit(ledger, "b", 2)
    run_all(ledger)
    assert info(ledger, "b").finished
    assert logged(ledger) == []


def test_old_entries_go(ledger, control):
    submit(ledger, "b", 1)
    control.pause("b")
    ((_, fields),) = ledger.client.xrange(ledger.settings.key("audit"))
    with ledger.client.pipeline(transaction=False) as pipe:
        for _ in range(12_000):
            pipe.xadd(ledger.settings.key("audit"), fields)
        pipe.execute()
    control.resume("b")
    kept = logged(ledger)
    assert 10_000 <= len(kept) <= 10_100
    assert kept[-1] == ("resume", "batch", "b", None)


def test_who_acts(server, ledger, control, here):
    submit(ledger, "b", 3)
    control.pause("b")
    settings = ledger.settings
    with acting("ann", "dashboard"):
        control.resume("b")
    assert CliRunner().invoke(cli, ["pause", "b"]).exit_code == 0
    with dashboard(server.url, settings.prefix, GRISTMILL_DASHBOARD_PASSWORD="correct horse") as pages:
        login = "Basic " + base64.b64encode(b"gristmill:correct horse").decode()
        cookie = pages.ask("/batches", Authorization=login)[2]["Set-Cookie"].partition(";")[0]
        form = f"_xsrf={cookie.partition('=')[2]}".encode()
        headers = {"Authorization": login, "Cookie": cookie}
        with urlopen(Request(f"{pages.address}/batch/b/resume", data=form, headers=headers), timeout=30) as answer:
            assert answer.status == 200
    me = user_at_host()
    assert [(entry.by, entry.via, entry.action) for entry in entries(ledger.client, settings)] == [
        (me, "Python", "pause"),
        ("ann", "dashboard", "resume"),
        (me, "command", "pause"),
        ("gristmill", "dashboard", "resume"),
    ]
    printed = CliRunner().invoke(cli, ["audit", "--batch", "b", "--json"])
    assert printed.exit_code == 0
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [row["via"] for row in rows] == ["Python", "dashboard", "command", "dashboard"]
    assert list(rows[0]) == ["at", "by", "via", "action", "kind", "name", "detail"]
    assert CliRunner().invoke(cli, ["audit", "--batch", "other", "--json"]).stdout == ""


def test_a_schedule_that_a_command_makes_is_the_commands(here):
    """A thread of its own sends the items."""
    assert CliRunner().invoke(cli, ["submit", "fibonacci", "5", "--name", "s", "--every", "1h"]).exit_code == 0
    (entry,) = entries(here.client, here.settings)
    assert (entry.by, entry.via, entry.action, entry.name) == (user_at_host(), "command", "make", "s")
