"""The advice of the dashboard: the sentence and the command, for each state that a queue can be in."""

from dataclasses import replace

import pytest

from gristmill.batches.info import BatchInfo
from gristmill.broker.unattended_queues import Orphan
from gristmill.broker.unknown_tasks import UnknownTask
from gristmill.config.figures import duration
from gristmill.dashboard.advice import TASKS_MOST, advise, advise_on_orphans, advise_on_unknown_tasks
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.unknown_tasks import tasks_without_worker

CPU = QueueNow("cpu", kind="cpu", left=12_400, rate=62.0, seconds=0.03, used=0.97, slots=2, busy=2, workers=2)
IO = QueueNow("io", kind="io", slots=64, workers=1)


def worker(queue="cpu", **fields):
    fields_of_all = {"name": f"{queue}@a", "host": "a", "pid": 1, "pool": "prefork", "slots": 2, "busy": 2, "items": 0}
    return LiveWorker(**{**fields_of_all, "queue": queue, "rate": 0.0, "cores": 16, "cpu": 20.0, **fields})


WORKERS = [worker(), worker("io", pool="threads", slots=64)]


def advice(queue=CPU, *others, workers=WORKERS, server=10.0):
    return advise(queue, [queue, *(others or (IO,))], workers, server)


def test_more_slots_with_every_service_named_at_its_count():
    advised = advice(CPU, replace(IO, workers=2), workers=[replace(one, container=True) for one in WORKERS])
    assert (
        advised.text
        == "cpu: 12,400 items left, 3 min 20 s at this rate. 6 more slots would bring that under 1 minute. Type:"
    )
    assert advised.command == "docker compose up -d --no-recreate --scale cpu=8 --scale io=2"
    assert advised.level == "info"


def test_workers_of_one_up_are_restarted_with_more_slots():
    advised = advice()
    assert advised.command == "gristmill up --cpu-slots 8 --io-slots 64"
    assert advised.text.endswith("Restart with:")


def test_on_several_hosts_one_more_worker_is_started():
    elsewhere = [replace(one, host="b") for one in WORKERS]
    assert advice(workers=[*WORKERS, *elsewhere]).command == "gristmill up cpu=6"


def test_no_more_cpu_slots_than_there_are_free_cores():
    advised = advice(workers=[worker(cores=4, cpu=50.0)])
    assert "2 more slots would bring that to 1 min 40 s" in advised.text


def test_io_slots_need_no_free_core():
    queue = replace(IO, left=60_000, rate=60.0, seconds=1.0, used=1.0, busy=64)
    advised = advice(queue, CPU, workers=[worker(), worker("io", cores=2, cpu=70.0)])
    assert "1,186 more slots would bring that under 1 minute" in advised.text
    assert advised.command == "gristmill up --cpu-slots 2 --io-slots 1250"


@pytest.mark.parametrize(("hosts", "which"), [(["a"], "host a"), (["a", "b"], "all 2 hosts")])
def test_a_full_host_wants_another_host(hosts, which):
    advised = advice(workers=[worker(host=host, cpu=97.0) for host in hosts])
    assert advised.text.endswith(f"All cores of {which} are busy. Add a host:")
    assert advised.command == "GRISTMILL_REDIS_URL=… gristmill up cpu"
    assert advised.level == "warning"


def test_one_host_with_free_cores_is_enough():
    assert "more slots" in advice(workers=[worker(cpu=97.0), worker(host="b", cpu=10.0)]).text


@pytest.mark.parametrize(
    ("changes", "server", "why"),
    [
        ({}, 85.0, "the server is the bottleneck."),
        ({"submitting": True}, 85.0, "the server is the bottleneck."),
        ({"submitting": True}, 5.0, "the producer is the bottleneck."),
        ({}, 5.0, "the items wait for something else, such as the rate limit of `fetch` or another attempt."),
    ],
)
def test_idle_slots_are_not_helped_by_more(changes, server, why):
    advised = advice(replace(CPU, used=0.31, **changes), server=server)
    assert advised.text.startswith("cpu: 12,400 items left, 3 min 20 s at this rate. More workers won't help")
    assert advised.text.endswith(f"slots are 31 % busy, and {why}")
    assert advised.command is None


@pytest.mark.parametrize(
    ("container", "command"),
    [(False, "gristmill up --cpu-slots 2"), (True, "docker compose up -d --no-recreate --scale cpu=1 --scale io=1")],
)
def test_nobody_listens(container, command):
    queue = replace(IO, left=1_200, slots=0, workers=0)
    advised = advice(queue, replace(CPU, workers=1), workers=[worker(container=container)])
    assert advised.text == "No worker takes items from io: 1,200 items wait. Start one:"
    assert (advised.command, advised.level) == (command, "warning")


def test_nobody_listens_at_all():
    advised = advice(replace(CPU, left=1, slots=0, workers=0), replace(IO, slots=0, workers=0), workers=[])
    assert (advised.text, advised.command) == (
        "No worker takes items from cpu: 1 item waits. Start one:",
        "gristmill up",
    )


GPU = QueueNow("gpu", kind="cpu", left=500, rate=1.0, seconds=1.0, used=1.0, slots=2, busy=2, workers=1)
MAIL = QueueNow("mail", kind="io", left=1)


class TestQueuesOfOnesOwn:
    def test_nobody_listens(self):
        assert advice(MAIL, CPU, IO).command == "gristmill up flower cpu=2 io=64 mail:io"
        assert advice(MAIL, workers=[]).command == "gristmill up cpu io flower mail:io"

    def test_more_slots_keep_those_of_the_others(self):
        advised = advice(GPU, CPU, IO, workers=[*WORKERS, worker("gpu")])
        assert advised.command == "gristmill up flower cpu=2 gpu=11 io=64"
        assert advised.text.endswith("Restart with:")
        assert advice(CPU, IO, GPU).command == "gristmill up flower cpu=8 gpu=2 io=64"

    def test_on_several_hosts_one_more_worker_is_started(self):
        elsewhere = worker("gpu", host="b")
        assert advice(GPU, workers=[*WORKERS, elsewhere]).command == "gristmill up gpu=9"

    def test_in_containers_a_queue_is_a_service(self):
        containers = [replace(one, container=True) for one in [*WORKERS, worker("gpu")]]
        command = "docker compose up -d --no-recreate --scale cpu=2 --scale gpu=6 --scale io=1"
        assert advice(GPU, CPU, IO, workers=containers).command == command


def test_what_is_soon_done_needs_nothing():
    advised = advice(replace(CPU, left=62))
    assert (advised.text, advised.command, advised.level) == ("cpu: 62 items left, 1 s at this rate.", None, "ok")


def test_nothing_waits():
    assert advice(IO, CPU).level == "idle"


def test_paused_batches_are_named():
    advised = advice(replace(CPU, left=0, paused=7))
    assert (advised.text, advised.command) == ("cpu: 7 items in paused batches.", "gristmill resume")


@pytest.mark.parametrize(
    ("busy", "words"), [(2, "2 of 2 slots are busy, and none has finished"), (0, "no slot is busy")]
)
def test_without_a_rate_there_is_no_time(busy, words):
    assert words in advice(replace(CPU, rate=0.0, busy=busy)).text


def test_durations():
    assert [duration(s) for s in (0.4, 59.4, 60, 200, 7500)] == ["0 s", "59 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]


def test_messages_that_nobody_takes_are_named_with_their_number():
    assert advise_on_orphans([]) == []
    (advice,) = advise_on_orphans([Orphan("mail", "stream", 1200), Orphan("cpu", "list", 3)])
    assert advice.level == "warning"
    assert all(words in advice.text for words in ("1,200 on the stream of mail", "3 on the list of cpu"))


def test_tasks_that_no_worker_knows_are_named_with_what_waits():
    tasks = [UnknownTask("cpu", f"task-{number}", "messages", 1200, 7300.0) for number in range(TASKS_MOST + 1)]
    advice = advise_on_unknown_tasks(tasks)
    assert [one.queue for one in advice] == ["cpu"] * TASKS_MOST
    assert all(part in advice[0].text for part in ("task-0", "1,200 messages", "2 h 1 min"))
    assert (advice[0].command, advice[0].level) == ("gristmill doctor", "warning")


def test_items_of_batches_count_where_workers_listen_and_none_knows_the_task():
    info = BatchInfo.from_fields(
        "b", {"task": "t", "queue": "cpu", "stored": "5", "submitted_by": "me", "created": "1000"}
    )
    knowing, other = worker(tasks={"t": "f"}), worker(tasks={"u": "f"})
    assert tasks_without_worker([info], [other], 11.0) == [UnknownTask("cpu", "t", "items", 5, 10.0)]
    assert tasks_without_worker([info], [other, knowing], 11.0) == tasks_without_worker([info], [], 11.0) == []
