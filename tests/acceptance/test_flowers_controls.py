"""What Flower and Celery's remote control ask of our workers: it changes what the fleet counts, or says what does."""

import json
import sys

import pytest

from gristmill.fleet.registry import WorkerRegistry
from tests.conftest import until
from tests.support.command import Place
from tests.support.dashboards import Dashboard

PASSWORD = "correct horse"
TASKS = '''
import os
import time

from gristmill import cpu, io


@cpu
def stay(gate: str):
    """Wait for a file."""
    while not os.path.exists(gate):
        time.sleep(0.05)


@io
def linger(gate: str):
    """The same, in a thread."""
    return stay.run(gate)


@cpu
def sign(note: str, number: int):
    """Leave a line with the number."""
    with open(note, "a") as file:
        file.write(f"{number}\\n")
    time.sleep(0.01)
'''
#: The slots of each worker, and the task that stays there.
SLOTS, STAYING = 2, {"cpu": "stay", "io": "linger"}
QUEUES = pytest.mark.parametrize("queue", STAYING)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A place with a worker of each kind, and a dashboard with a password: without one, Flower's API is closed."""
    place = Place(tmp_path_factory.mktemp("place"), {"staying": TASKS}, GRISTMILL_DASHBOARD_PASSWORD=PASSWORD)
    slots = ("--cpu-slots", str(SLOTS), "--io-slots", str(SLOTS))
    try:
        with place.up("cpu", "io", "flower", *slots) as place.owner:
            yield place
    finally:
        place.deserted()


@pytest.fixture
def pages(place):
    """The dashboard, whose Flower has heard of the workers, each of which has its slots again."""
    pages = Dashboard(place.server().dashboard.rstrip("/"), PASSWORD)
    names = {row["name"] for row in workers(pages)}
    until(lambda: names <= json.loads(pages.ask("/api/workers?refresh=1")[1]).keys(), what="Flower's list")
    yield pages
    for queue in STAYING:
        slots = worker(pages, queue)["slots"]
        for _ in range(abs(slots - SLOTS)):
            assert ask(pages, f"pool/{'shrink' if slots > SLOTS else 'grow'}", queue)[0] == 200
    until(lambda: {row["slots"] for row in workers(pages)} == {SLOTS}, what="the slots of before")


def workers(pages):
    return pages.json("/workers/data")["workers"]


def worker(pages, queue):
    (row,) = [row for row in workers(pages) if row["queue"] == queue]
    return row


def ask(pages, what, to, **fields):
    """The status and the text of what Flower's API answers about the worker of the queue `to`."""
    form = "&".join(f"{name}={value}" for name, value in fields.items()).encode()
    return pages.ask(f"/api/worker/{what}/{worker(pages, to)['name']}", form)[:2]


@QUEUES
def test_a_pool_has_as_many_slots_as_flower_gives_it(place, pages, name, queue):
    gate = place.path / name
    place.run("submit", STAYING[queue], *[str(gate)] * 8, "--name", name).good()
    until(lambda: place.busy(queue) == SLOTS, what="busy slots")
    assert ask(pages, "pool/grow", queue, n=3)[0] == 200
    until(lambda: place.busy(queue) == SLOTS + 3, what="as many that run")
    (shown,) = [each for each in pages.json("/throughput/data")["queues"] if each["name"] == queue]
    assert (shown["slots"], worker(pages, queue)["slots"]) == (SLOTS + 3, SLOTS + 3)
    # All are busy, and what runs goes on.
    assert ask(pages, "pool/shrink", queue, n=4)[0] == 200
    until(lambda: worker(pages, queue)["slots"] == 1, what="one slot")
    assert place.busy(queue) == SLOTS + 3
    gate.touch()
    info = place.ended(name)
    assert (info.submitted, info.succeeded, info.left, info.duplicates) == (8, 8, 0, 0)
    assert {result.attempts for result in place.results(name)} == {1}


@pytest.mark.slow
def test_nothing_is_lost_while_a_pool_shrinks_and_grows(place, pages, name):
    note, burst, changes = place.path / name, 200, (("grow", 3), ("shrink", 4), ("grow", 4), ("shrink", 3)) * 2

    def signed():
        return sorted(map(int, note.read_text().split())) if note.exists() else []

    for number, (what, n) in enumerate(changes):
        numbers = range(burst * number, burst * (number + 1))
        code = f"import staying; [staying.sign.delay({str(note)!r}, number) for number in {numbers}]"
        assert place.process([sys.executable, "-c", code]).code == 0
        before = worker(pages, "cpu")["slots"]
        assert ask(pages, f"pool/{what}", "cpu", n=n)[0] == 200
        after = before + (n if what == "grow" else -n)
        until(lambda after=after: worker(pages, "cpu")["slots"] == after, what=f"{after} slots")
    until(lambda: len(signed()) >= burst * len(changes), 60, what="the messages")
    assert signed() == list(range(burst * len(changes)))


@QUEUES
@pytest.mark.parametrize(
    ("what", "fields", "reason"),
    [
        ("pool/shrink", {"n": SLOTS}, "gristmill drain"),
        ("pool/grow", {"n": 5_000}, "1 to 1,024 slots"),
        ("pool/grow", {"n": -1}, "1 or more"),
        ("pool/autoscale", {"min": 1, "max": 3}, "gristmill autoscale"),
        ("pool/restart", {}, "gristmill up"),
        ("queue/add-consumer", {"queue": "other"}, "gristmill up"),
        ("queue/cancel-consumer", {"queue": "QUEUE"}, "drain it"),
    ],
)
def test_what_nobody_would_count_is_refused_and_says_why(place, pages, queue, what, fields, reason):
    before = worker(pages, queue)
    status, text = ask(
        pages, what, queue, **{name: queue if value == "QUEUE" else value for name, value in fields.items()}
    )
    assert (status, reason in text) == (403, True), text
    after = worker(pages, queue)
    assert (after["queue"], after["slots"], after["id"]) == (queue, SLOTS, before["id"])


@QUEUES
def test_what_autoscale_has_decided_stays(place, pages, queue):
    row = worker(pages, queue)
    with place.ledger() as ledger:
        registry = WorkerRegistry(ledger.client, ledger.settings)
        registry.resize(row["id"], 3)
        until(lambda: worker(pages, queue)["slots"] == 3, what="slots of an autoscale")
        status, text = ask(pages, "pool/grow", queue, n=1)
        assert (status, "gristmill autoscale" in text) == (403, True), text
        registry.resize(row["id"], None)
    until(lambda: worker(pages, queue)["slots"] == SLOTS, what="the slots of before")


@QUEUES
def test_limits_are_those_of_calls_and_no_thread_has_one(pages, queue):
    row, task = worker(pages, queue), STAYING[queue]
    # Nothing of what it says is kept.
    _, text, _ = pages.ask(f"/api/task/rate-limit/{task}", f"workername={row['name']}&ratelimit=0".encode())
    assert "--rate" in text
    status, text, _ = pages.ask(f"/api/task/timeout/{task}", f"workername={row['name']}&hard=600".encode())
    assert (status, ("--time-limit" if queue == "cpu" else "nothing ends a thread") in text) == (
        200 if queue == "cpu" else 403,
        True,
    )


@QUEUES
def test_flowers_page_of_a_worker_has_no_buttons_and_says_where_they_are(pages, queue):
    status, text, _ = pages.ask(f"/worker/{worker(pages, queue)['name']}")
    assert (status, "Worker pool options" in text) == (200, True)
    assert 'id="gm-note"' in text
    assert "/workers" in text
    for button in ("worker-pool-grow", "worker-shutdown", "worker-add-consumer", "worker-cancel-consumer", "task-rate"):
        assert button not in text


@pytest.mark.slow
def test_up_starts_a_worker_again_that_flower_shuts_down(place, pages, name):
    gate, before = place.path / name, worker(pages, "cpu")
    place.run("submit", "stay", *[str(gate)] * 4, "--name", name).good()
    until(lambda: place.busy("cpu") == SLOTS, what="busy slots")
    assert ask(pages, "shutdown", "cpu")[0] == 200
    gate.touch()
    until(lambda: [row["id"] for row in workers(pages) if row["queue"] == "cpu"] not in ([], [before["id"]]), 60)
    info = place.ended(name)
    assert (info.succeeded, info.left, info.duplicates) == (4, 0, 0)
    until(lambda: [row["queue"] for row in workers(pages)].count("cpu") == 1, 60, what="one worker")
