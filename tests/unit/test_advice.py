"""The advice of the dashboard: the sentence and the command, for each state that a queue can be in."""

from dataclasses import replace

import pytest

from gristmill.config.words import duration
from gristmill.dashboard.advice import advise
from gristmill.fleet.overview import QueueNow
from gristmill.fleet.registry import LiveWorker

CPU = QueueNow("cpu", left=12_400, rate=62.0, seconds=0.03, used=0.97, slots=2, busy=2, workers=2)
IO = QueueNow("io", slots=64, workers=1)


def worker(queue="cpu", **fields):
    known = {"name": f"{queue}@a", "host": "a", "pid": 1, "pool": "prefork", "slots": 2, "busy": 2, "items": 0}
    return LiveWorker(**{**known, "queue": queue, "rate": 0.0, "cores": 16, "cpu": 20.0, **fields})


WORKERS = [worker(), worker("io", pool="threads", slots=64)]


def advice(queue=CPU, *others, workers=WORKERS, server=10.0):
    return advise(queue, [queue, *(others or (IO,))], workers, server)


def test_more_slots_with_every_service_named_at_its_count():
    found = advice(CPU, replace(IO, workers=2), workers=[replace(one, container=True) for one in WORKERS])
    assert (
        found.text
        == "cpu: 12,400 items left, 3 min 20 s at this rate. 6 more slots would bring it under 1 minute. Type:"
    )
    assert found.command == "docker compose up -d --no-recreate --scale cpu=8 --scale io=2"
    assert found.level == "info"


def test_workers_of_one_up_are_restarted_with_more_slots():
    found = advice()
    assert found.command == "gristmill up --cpu 8 --io 64"
    assert found.text.endswith("Restart with:")


def test_on_several_hosts_one_more_worker_is_started():
    elsewhere = [replace(one, host="b") for one in WORKERS]
    assert advice(workers=[*WORKERS, *elsewhere]).command == "gristmill up cpu --cpu 6"


def test_no_more_cpu_slots_than_there_are_free_cores():
    found = advice(workers=[worker(cores=4, cpu=50.0)])
    assert "2 more slots would bring it to 1 min 40 s" in found.text


def test_io_slots_need_no_free_core():
    queue = replace(IO, left=60_000, rate=60.0, seconds=1.0, used=1.0, busy=64)
    found = advice(queue, CPU, workers=[worker(), worker("io", cores=2, cpu=70.0)])
    assert "1,186 more slots would bring it under 1 minute" in found.text
    assert found.command == "gristmill up --cpu 2 --io 1250"


@pytest.mark.parametrize(("hosts", "which"), [(["a"], "host a"), (["a", "b"], "all 2 hosts")])
def test_a_full_host_wants_another_host(hosts, which):
    found = advice(workers=[worker(host=host, cpu=97.0) for host in hosts])
    assert found.text.endswith(f"All cores of {which} are in use: add a host.")
    assert found.command == "GRISTMILL_REDIS_URL=… gristmill up cpu"
    assert found.level == "warning"


def test_one_host_with_free_cores_is_enough():
    assert "more slots" in advice(workers=[worker(cpu=97.0), worker(host="b", cpu=10.0)]).text


@pytest.mark.parametrize(
    ("changes", "server", "why"),
    [
        ({}, 85.0, "slots 31 % busy, the server is the limit."),
        ({"submitting": True}, 85.0, "slots 31 % busy, the server is the limit."),
        ({"submitting": True}, 5.0, "slots 31 % busy, the producer is the limit."),
        ({}, 5.0, "slots 31 % busy, they wait for something else, such as a limit of `fetch` or another attempt."),
    ],
)
def test_idle_slots_are_not_helped_by_more(changes, server, why):
    found = advice(replace(CPU, used=0.31, **changes), server=server)
    assert found.text == f"cpu: 12,400 items left, 3 min 20 s at this rate. More workers won't help: {why}"
    assert found.command is None


@pytest.mark.parametrize(
    ("container", "command"),
    [(False, "gristmill up --cpu 2"), (True, "docker compose up -d --no-recreate --scale cpu=1 --scale io=1")],
)
def test_nobody_listens(container, command):
    queue = replace(IO, left=1_200, slots=0, workers=0)
    found = advice(queue, replace(CPU, workers=1), workers=[worker(container=container)])
    assert found.text == "No worker listens to io: 1,200 items wait. Start one:"
    assert (found.command, found.level) == (command, "warning")


def test_nobody_listens_at_all():
    found = advice(replace(CPU, left=1, slots=0, workers=0), replace(IO, slots=0, workers=0), workers=[])
    assert (found.text, found.command) == ("No worker listens to cpu: 1 item waits. Start one:", "gristmill up")


def test_what_is_soon_done_needs_nothing():
    found = advice(replace(CPU, left=62))
    assert (found.text, found.command, found.level) == ("cpu: 62 items left, 1 s at this rate.", None, "ok")


def test_nothing_waits():
    assert advice(IO, CPU).text == "io: nothing is waiting."


def test_paused_batches_are_named():
    found = advice(replace(CPU, left=0, held=7))
    assert (found.text, found.command) == ("cpu: 7 items in paused batches.", "gristmill resume")


@pytest.mark.parametrize(("busy", "words"), [(2, "2 of 2 slots busy, none has finished"), (0, "nothing runs")])
def test_without_a_rate_there_is_no_time(busy, words):
    assert words in advice(replace(CPU, rate=0.0, busy=busy)).text


def test_durations():
    assert [duration(s) for s in (0.4, 59.4, 60, 200, 7500)] == ["0 s", "59 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
