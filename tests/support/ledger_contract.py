"""What the ledger asks of a server, each part with the scripts that it runs."""

import time

import pytest
from redis.exceptions import OutOfMemoryError

from gristmill.batches.appends import Append
from gristmill.batches.chunk import Chunk, Outcome
from gristmill.batches.control import Control
from gristmill.batches.feed import Feed
from gristmill.batches.info import BatchInfo
from gristmill.batches.lines import LineChannel
from gristmill.batches.notices import Notices
from gristmill.batches.reader import ResultReader
from gristmill.batches.repair import Repair
from gristmill.batches.result_consumer import ResultConsumer
from gristmill.batches.run_count import ProgramRun, RunCount
from gristmill.batches.schedules import Draft, Schedules, definition
from gristmill.batches.timetable import Timetable
from gristmill.errors import InputError
from gristmill.fleet.announcement import Announcement
from gristmill.fleet.autoscale_seat import Seat, Status
from gristmill.fleet.meters import Meters
from gristmill.fleet.registry import WorkerRegistry
from gristmill.fleet.running_items import RunningItems
from gristmill.server.actor import actor
from gristmill.server.scripts import Scripts, server_time
from tests.conftest import until

FIELDS = {"task": "t", "queue": "cpu", "parameter": "n", "fixed": "{}", "fingerprint": "f", "retries": 1}
FIELDS |= {"retry_seconds": 1, "chunk_seconds": 0.25, "submitted_by": "me@here"}


def keeps_the_ledger(user):
    ledger = user.ledger
    ledger.heartbeat("w", {"queue": "cpu", "slots": 3}, [])
    ledger.create("b", "token", FIELDS)
    ledger.append("b", "token", 0, ["0", "1", "2"], "sha")
    ledger.end("b", "token", 0)
    WorkerRegistry(user.client, ledger.settings).announce("w", {"t": Announcement("f")})
    assert WorkerRegistry(user.client, ledger.settings).waiting("cpu") == 3
    (worker,) = WorkerRegistry(user.client, ledger.settings).workers()
    assert (worker.id, worker.slots, worker.tasks) == ("w", 3, {"t": "f"})
    epoch = ledger.state("b")["epoch"]
    for index, state, retry_ms in ((0, "succeeded", None), (1, "failed", 1), (2, "failed", None)):
        chunk = Chunk("b", epoch, index, 1)
        work = ledger.take(chunk)
        assert [item.value for item in work.items] == [index]
        outcome = Outcome(index, state, 1, str(index), 0.1, "w", 1, retry_ms)
        assert [ledger.record(chunk, [outcome], 0.1, "w") for _ in range(2)] == [0, 1]

    def due():
        ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
        return ledger.take(Chunk("b", epoch, 1, 1))

    item = until(due, what="the second attempt").items[0]
    assert item.attempt == 2
    ledger.record(Chunk("b", epoch, 1, 1), [Outcome(1, "succeeded", 2, "1")], 0.1, "w")
    info = BatchInfo.from_fields("b", ledger.state("b"))
    assert (info.submitted, info.succeeded, info.failed, info.duplicates, info.left) == (3, 2, 1, 3, 0)
    reader = ResultReader(user.client, ledger.settings, "b")
    assert [result.index for result in reader.in_order(0, 3)] == [0, 1, 2]
    assert sorted(result.index for result in reader.after("0-0", 0)[1]) == [0, 1, 2]
    assert reader.after("9999999999999-0", 20) == ("9999999999999-0", [])
    assert server_time(user.client, user.prefix) == pytest.approx(time.time(), abs=10)
    assert [
        RunCount(user.client, ledger.settings).add("b", int(epoch), [ProgramRun(1, 1.0)], "t") for _ in range(2)
    ] == [1, 1]
    ledger.delete("b")
    assert ledger.names() == []


def controls_a_batch_and_consumes_it(user):
    ledger, control = user.ledger, Control(user.client, user.ledger.settings)
    ledger.create("c", "token", FIELDS)
    ledger.append("c", "token", 0, ["0", "1"], "sha")
    ledger.producer_heartbeat("c", "token")
    ledger.end("c", "token", 0)
    state = ledger.state("c")
    for index, word in enumerate(("succeeded", "failed")):
        chunk = Chunk("c", state["epoch"], index, 1)
        assert ledger.take(chunk)
        ledger.record(chunk, [Outcome(index, word, 1, str(index))], 0.1, "w")
    assert (control.retry("c"), control.pause("c"), control.resume("c")) == (1, True, True)
    assert control.cancel("c", "enough") == []
    (info,) = ledger.infos(["c", "none"])
    assert (info.succeeded, info.cancelled, info.left) == (1, 1, 0)
    consumer = ResultConsumer(user.client, ledger.settings, "c", int(state["created"]))
    results = ResultReader(user.client, ledger.settings, "c").in_order(0, 2)
    assert [result.state for result in consumer.noted(results)] == ["succeeded", "cancelled"]
    consumer.consume()
    assert BatchInfo.from_fields("c", ledger.state("c")).consumed == 1
    ledger.tend("c")
    registry = WorkerRegistry(user.client, ledger.settings)
    registry.drain("w")
    counts = [("cpu", "t", "s", 1)]
    assert ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [], counts=counts)[4].drain == actor()
    assert Seat(user.client, ledger.settings, "me").take() == ("", Status())
    registry.leave("w")
    Meters(user.client, ledger.settings).heartbeat()
    ledger.delete("c")


def drains_when_it_is_full(user):
    ledger = user.ledger
    ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
    ledger.create("full", "token", FIELDS)
    ledger.append("full", "token", 0, ["0"], "sha")
    for number in range(4):
        user.put(number)
    user.client.config_set("maxmemory", 1)
    try:
        for call in (
            lambda: user.put(4),
            lambda: user.put(5, headers={"task": "t", "eta": "2999-01-01T00:00:00+00:00"}),
            lambda: ledger.create("more", "token", FIELDS),
            lambda: ledger.append("full", "token", 1, ["1"], "sha2"),
        ):
            with pytest.raises(OutOfMemoryError):
                call()
        user.channel.exchange_declare("e", "direct")
        user.channel.queue_bind("q", "e", "k")
        assert user.size() == 4
        assert WorkerRegistry(user.client, ledger.settings).waiting("cpu") > 0
        assert user.call("held", consumer="nobody", idle=0, queues=["q"]) == []
        messages = [user.get() for _ in range(4)]
        messages[0].ack()
        messages[1].requeue()
        messages[2].channel.qos.bury(messages[2].delivery_tag, "a reason")
        messages[3].channel.qos.postpone(messages[3].delivery_tag, 0)
        for _ in range(2):
            until(user.get).ack()
        assert (user.standing(), user.client.zcard(f"{user.prefix}gm1:later:q")) == (0, 0)
        chunk = Chunk("full", ledger.state("full")["epoch"], 0, 1)
        assert ledger.take(chunk).items[0].value == 0
        ledger.record(chunk, [Outcome(0, "succeeded", 1, "0")], 0.1, "w")
        ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
        ledger.end("full", "token", 0)
        assert BatchInfo.from_fields("full", ledger.state("full")).left == 0
        ledger.delete("full")
        assert "full" not in ledger.names()
    finally:
        user.client.config_set("maxmemory", 0)


def mends_a_batch(user):
    ledger, repair = user.ledger, Repair(user.client, user.ledger.settings)
    ledger.heartbeat("w", {"queue": "cpu", "slots": 1}, [])
    ledger.create("m", "token", FIELDS)
    ledger.append("m", "token", 0, ["0", "1"], "sha")
    ledger.end("m", "token", 0)
    chunk = Chunk("m", ledger.state("m")["epoch"], 0, 1)
    assert ledger.take(chunk)
    ledger.record(chunk, [Outcome(0, "succeeded", 1, "0")], 0.1, "w")
    user.client.delete(ledger.settings.key("batch:m:events"))
    assert repair.mend("m") == {"events_missing": 1}
    assert (repair.examine("m"), repair.queues(["cpu"], mend=True)) == ({}, {})
    ledger.delete("m")


def tells_what_runs_and_what_fails(user):
    ledger, registry = user.ledger, WorkerRegistry(user.client, user.ledger.settings)
    run = {"batch": "none", "index": 0, "attempt": 1, "seconds": 2.0, "pid": 1, "progress": None}
    ledger.heartbeat("w", {"queue": "cpu", "slots": 1}, [], runs=[run])
    (item,) = RunningItems(user.client, ledger.settings).look(inputs=False)
    assert (item.batch, item.index, item.pid) == ("none", 0, 1)
    assert [registry.note_setup("w", "t", "no model", 1.0) for _ in range(2)] == [True, False]
    assert registry.note_setup("w", "t", None, 2.0)


def tells_what_items_write(user):
    lines = LineChannel(user.client, user.ledger.settings)
    assert not lines.say("b", [(0, "unheard\n")])
    after, _ = lines.listen("b", "0-0")
    assert lines.say("b", [(0, "one\n"), (1, "two\n")])
    assert lines.listen("b", after)[1] == [(0, "one\n"), (1, "two\n")]


def cancels_an_item_and_runs_it_again(user):
    ledger, control = user.ledger, Control(user.client, user.ledger.settings)
    ledger.heartbeat("w", {"queue": "cpu", "slots": 1}, [])
    ledger.create("one", "token", FIELDS)
    ledger.append("one", "token", 0, ["0", "1"], "sha")
    assert control.cancel_item("one", 1, "by me") == "waiting"
    assert control.retry_item("one", 1)
    assert not control.retry_item("one", 1)
    ledger.delete("one")


def paces_a_batch(user):
    ledger = user.ledger
    ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
    ledger.create("paced", "token", {**FIELDS, "rate": "10/s", "max_running": "1"})
    ledger.append("paced", "token", 0, ["0", "1", "2"], "sha")
    epoch = ledger.state("paced")["epoch"]
    for index in range(3):
        chunk = Chunk("paced", epoch, index, 1)

        def handed_out(chunk=chunk):
            ledger.pace()
            return ledger.take(chunk)

        assert until(handed_out, 5, "an item that the rate lets").items[0].value == index
        ledger.record(chunk, [Outcome(index, "succeeded", 1, str(index))], 0.1, "w")
    ledger.delete("paced")


def limits_by_value_and_over_the_batches_of_a_task(user):
    ledger, repair = user.ledger, Repair(user.client, user.ledger.settings)
    ledger.heartbeat("w", {"queue": "cpu", "slots": 3}, [])
    limits = {"limit_by": "n", "max_running": "1", "rate": "100/s", "task_max_running": "1", "task_rate": "100/s"}
    for name in ("first", "second"):
        ledger.create(name, "token", {**FIELDS, **limits})
        ledger.append(name, "token", 0, ["0", "1"], "sha", "00000000000000000000000a")
    assert repair.limits(mend=True) == 0
    # The first one waited for more before the second one came.
    for name, index in (("first", 0), ("first", 1), ("second", 0)):
        chunk = Chunk(name, ledger.state(name)["epoch"], index, 1)

        def handed_out(chunk=chunk):
            ledger.pace()
            return ledger.take(chunk)

        assert until(handed_out, 5, f"the turn of batch {name!r}")
        ledger.record(chunk, [Outcome(index, "succeeded", 1, str(index))], 0.1, "w")
    for name in ("first", "second"):
        ledger.delete(name)
    ledger.create("untold", "token", {**FIELDS, **limits})
    ledger.append("untold", "token", 0, ["0"], "sha")
    chunk = Chunk("untold", ledger.state("untold")["epoch"], 0, 1)
    assert ledger.take(chunk).limit_by == "n"
    assert ledger.tell_values(chunk, "00000000000a")
    ledger.delete("untold")
    scripts = Scripts(user.client, ledger.settings.prefix, "batches")
    assert [scripts.call("use_rate", task="other", value="a", rate="1/h") for _ in range(2)] == [
        0,
        pytest.approx(3.6e6, abs=1e4),
    ]


def names_the_folder_of_values(user):
    ledger, scripts = user.ledger, Scripts(user.client, user.ledger.settings.prefix, "batches")
    assert scripts.call("value_folder", batch="large", token="0") == ""
    ledger.create("large", "token", FIELDS)
    assert scripts.call("value_folder", batch="large", token="1") == "large.1"
    assert scripts.call("value_folder", batch="large", token="2") == "large.1"
    ledger.delete("large")
    user.client.delete(ledger.settings.key("value_folders"))


def appends_to_an_open_batch(user):
    append = Append(user.client, user.ledger.settings, "token", lambda item, name: item)
    fields = {**FIELDS, "open": 1, "dedupe_by": "n", "close_after": 3_600_000}
    assert append.begin("open", "producer", fields) == Feed(True, 0, "", False)
    append.producer_heartbeat("open", "producer")
    append.append("open", "producer", 0, ["0", "1", "0"], "sha")
    append.end("open", "producer", 0)
    assert (append.progress.added, append.progress.present) == (2, 1)
    control = Control(user.client, user.ledger.settings)
    assert (control.close("open"), control.close("open")) == (True, False)
    user.ledger.delete("open")


def makes_batches_by_a_schedule(user):
    schedules = Schedules(user.client, user.ledger.settings)
    now = schedules.now()
    fields = definition(Timetable.of_every(1, now), "once", "skip", FIELDS)
    draft = Draft(user.client, user.ledger.settings, fields, now)
    draft.append("s", "token", 0, ["0", "1"], "sha")
    draft.end("s", "token", 0)
    assert draft.answer == "made"
    now, _, (due,) = schedules.look()
    assert schedules.fire(due, now) == "run"
    assert [item for _, item in user.ledger.items(str(schedules.info("s").last_batch))] == ["0", "1"]
    assert (schedules.pause("s"), schedules.resume("s")) == (True, True)
    schedules.run("s")
    for batch in user.ledger.names():
        user.ledger.delete(batch)
    schedules.delete("s")
    assert schedules.infos() == []


def tells_the_end_of_a_batch(user):
    ledger, notices = user.ledger, Notices(user.client, user.ledger.settings)
    ledger.create("told", "token", {**FIELDS, "notify": "https://hooks.example/", "stuck_after": 3_600_000})
    ledger.append("told", "token", 0, ["0"], "sha")
    ledger.end("told", "token", 0)
    assert notices.look()[0] == 0
    Control(user.client, ledger.settings).cancel("told", "enough")
    assert notices.look()[0] == 1
    notice = notices.claim(0)
    assert (notice.event, notice.tries) == ("cancelled", 1)
    assert notices.put_off(notice, "busy", 0)
    assert [(one.to, one.tries) for one in notices.undelivered()] == [("https://hooks.example", 1)]
    notices.note_delivery(notices.claim(60))
    assert ledger.infos(["told"])[0].notice["state"] == "delivered"
    ledger.delete("told")


def follows_a_batch(user):
    ledger = user.ledger
    ledger.heartbeat("w", {"queue": "cpu", "slots": 2}, [])
    ledger.create("first", "token", FIELDS)
    ledger.append("first", "token", 0, ["0"], "sha")
    ledger.end("first", "token", 0)
    ledger.create("last", "token", {**FIELDS, "after": "first"})
    ledger.append("last", "token", 0, ["0"], "sha")
    ledger.end("last", "token", 0)
    ledger.create("taker", "token", {**FIELDS, "from_batch": "first", "from_states": "succeeded", "flatten": 1})
    with pytest.raises(InputError):
        ledger.delete("first")
    chunk = Chunk("first", ledger.state("first")["epoch"], 0, 1)
    assert ledger.take(chunk)
    ledger.record(chunk, [Outcome(0, "succeeded", 1, "[1, [2, 3]]")], 0.1, "w")
    assert list(ledger.items("taker")) == [(0, "1"), (1, "[2, 3]")]
    assert "waiting" not in ledger.state("last")
    for name in ("last", "taker", "first"):
        ledger.delete(name)
