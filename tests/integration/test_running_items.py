"""What runs: told by each worker with its heartbeat, read with the input of each item."""

from gristmill.fleet.running_items import Progress, RunningItems
from tests.support.ledger import heartbeat, submit


def run(batch, index, seconds, progress=None):
    return {"batch": batch, "index": index, "attempt": 1, "seconds": seconds, "pid": 4711, "progress": progress}


def look(ledger, batch=None):
    return RunningItems(ledger.client, ledger.settings).look(batch and [batch])


def test_each_item_has_its_input_and_its_worker_the_slowest_first(ledger):
    submit(ledger, "b", 200)
    submit(ledger, "c", 1)
    told = {"done": 3, "total": 10, "note": "epoch 3"}
    ledger.heartbeat("cpu@a/1", heartbeat(), [], [], [run("b", 150, 2.0), run("c", 0, 60.0)])
    ledger.heartbeat("cpu@b/2", heartbeat(), [], [], [run("b", 7, 30.0, told)])
    items = look(ledger)
    assert [(item.batch, item.index, item.input, item.worker) for item in items] == [
        ("c", 0, 0, "cpu@a"),
        ("b", 7, 7, "cpu@b"),
        ("b", 150, 150, "cpu@a"),
    ]
    assert (items[1].pid, items[1].attempt, items[1].progress) == (4711, 1, Progress(3, 10, "epoch 3"))
    assert str(items[1].progress) == "30 %, epoch 3"
    assert [item.index for item in look(ledger, "b")] == [7, 150]
    assert look(ledger, "nothing") == []


def test_seconds_go_on_while_nobody_tells(ledger):
    submit(ledger, "b", 1)
    ledger.heartbeat("cpu@a/1", heartbeat(), [], [], [run("b", 0, 2.0)])
    first = look(ledger)[0]
    second = look(ledger)[0]
    assert second.seconds >= first.seconds >= 2.0
    assert abs(second.started - first.started) < 0.01


def test_what_has_ended_is_gone_with_the_next_heartbeat_and_a_worker_with_its_own(ledger):
    submit(ledger, "b", 2)
    ledger.heartbeat("cpu@a/1", heartbeat(), [], [], [run("b", 0, 2.0)])
    ledger.heartbeat("cpu@a/1", heartbeat(), [])
    assert look(ledger) == []
    ledger.heartbeat("cpu@a/1", heartbeat(), [], [], [run("b", 0, 2.0)])
    key = ledger.settings.key("busy:cpu@a/1")
    assert 0 < ledger.client.pttl(key) <= 5000, "a worker that dies tells nothing more"
    ledger._call("leave", worker="cpu@a/1")
    assert (look(ledger), ledger.client.exists(key)) == ([], 0)


def test_an_item_of_a_batch_that_was_deleted_has_no_input(ledger):
    submit(ledger, "b", 1)
    ledger.heartbeat("cpu@a/1", heartbeat(), [], [], [run("b", 0, 2.0)])
    ledger.delete("b")
    assert [item.input for item in look(ledger)] == [None]


def test_the_fields_in_json(ledger):
    submit(ledger, "b", 1)
    ledger.heartbeat("cpu@a/1", heartbeat(), [], [], [run("b", 0, 2.0, {"done": 2, "total": None, "note": ""})])
    fields = look(ledger)[0].as_dict()
    assert list(fields) == ["batch", "index", "input", "started", "seconds", "attempt", "progress", "worker", "pid"]
    assert fields["progress"] == {"done": 2, "total": None, "note": ""}
    assert fields["started"].endswith("+00:00")
