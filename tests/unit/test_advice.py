"""The advice of the dashboard: the sentence and the command, for each state that a queue can be in."""

from dataclasses import replace

import pytest

from gristmill.batches.info import BatchInfo
from gristmill.broker.unattended_queues import Orphan
from gristmill.broker.unknown_tasks import UnknownTask
from gristmill.config.figures import duration
from gristmill.dashboard.advice import advise
from gristmill.dashboard.advised_command import SOMEWHERE, Reader
from gristmill.dashboard.warnings import TASKS_MOST, advise_on_orphans, advise_on_unknown_tasks
from gristmill.fleet.queue_now import QueueNow
from gristmill.fleet.registry import LiveWorker
from gristmill.fleet.scaling import Limit
from gristmill.fleet.unknown_tasks import tasks_without_worker

CPU = QueueNow("cpu", kind="cpu", left=12_400, rate=62.0, seconds=0.03, used=0.97, slots=2, busy=2, workers=2)
IO = QueueNow("io", kind="io", slots=64, workers=1)


def worker(queue="cpu", **fields):
    fields_of_all = {"name": f"{queue}@a", "host": "a", "pid": 1, "pool": "prefork", "slots": 2, "busy": 2, "items": 0}
    return LiveWorker(**{**fields_of_all, "queue": queue, "rate": 0.0, "cores": 16, "cpu": 20.0, **fields})


WORKERS = [worker(), worker("io", pool="threads", slots=64)]


def advice(queue=CPU, *others, workers=WORKERS, server=10.0, reader=SOMEWHERE):
    return advise(queue, [queue, *(others or (IO,))], workers, server, reader)


def containers(*workers):
    return [replace(one, container=True) for one in workers or WORKERS]


def test_more_slots_with_every_service_named_at_its_count():
    advised = advice(workers=containers(worker(slots=1), worker(slots=1), WORKERS[1], WORKERS[1]))
    assert advised.command == "docker compose up -d --no-recreate --scale cpu=8 --scale io=2"
    assert (advised.level, advised.limit) == ("info", Limit.SLOTS)
    # 8 slots that are 97 % busy, after a start of 10 s with 2.
    assert advised.seconds == pytest.approx(10 + (12_400 * 0.03 - 10 * 2 * 0.97) / (8 * 0.97), rel=0.01)
    assert f"6 more slots would bring that to {duration(advised.seconds)}" in advised.text


def test_workers_of_one_up_are_restarted_with_more_slots():
    advised = advice()
    assert advised.command == "gristmill up --cpu-slots 8 --io-slots 64"
    # Meanwhile, none runs.
    assert advised.seconds == pytest.approx(10 + 12_400 * 0.03 / (8 * 0.97), rel=0.01)


def test_in_a_container_those_of_one_up_are_restarted_too():
    own = Reader(is_private=True)
    assert advice(workers=containers(), reader=own).command == "gristmill up --cpu-slots 8 --io-slots 64"
    nobody = replace(CPU, slots=0, busy=0, workers=0)
    assert advice(nobody, workers=containers(WORKERS[1]), reader=own).command == "gristmill up flower cpu io=64"


def test_on_several_machines_the_one_with_most_room_gets_them():
    elsewhere = [replace(one, host="b", cpu=10.0) for one in WORKERS]
    assert advice(workers=[*WORKERS, *elsewhere]).command == "# on b\ngristmill up --cpu-slots 8 --io-slots 64"
    reader = Reader(machine="a")
    assert advice(workers=[*WORKERS, *elsewhere], reader=reader).command == "# on b\ngristmill up cpu=8 io=64"
    here, there = containers(), containers(*elsewhere)
    assert advice(workers=[*here, *there], reader=reader).command == (
        "# on b\ndocker compose -f docker-compose.worker.yml up -d --no-recreate --scale cpu=4 --scale io=1"
    )


def test_no_more_cpu_slots_than_there_are_free_cores():
    advised = advice(workers=[worker(cores=4, cpu=50.0)])
    assert advised.command == "gristmill up flower cpu=4"


def test_other_queues_that_want_the_free_cores_get_their_part():
    gpu = replace(CPU, name="gpu")
    workers = [worker(cores=8, cpu=50.0), worker("gpu", cores=8, cpu=50.0)]
    assert [advice(one, other, workers=workers).command for one, other in ((CPU, gpu), (gpu, CPU))] == [
        "gristmill up flower cpu=4 gpu=2",
        "gristmill up flower cpu=2 gpu=4",
    ]


@pytest.mark.parametrize(("cpu", "used"), [(70.0, 0.0), (100.0, 0.1)])
def test_io_slots_need_no_free_core(cpu, used):
    """Input D3: 64 slots that sleep, on a busy machine."""
    queue = replace(IO, left=60_000, rate=64.0, seconds=1.0, used=1.0, busy=64)
    workers = [
        worker(cores=2, cpu=cpu),
        worker("io", pool="threads", slots=64, busy=64, cores=2, cpu=cpu, cores_used=used),
    ]
    advised = advice(queue, CPU, workers=workers)
    assert advised.limit is Limit.SLOTS
    assert int(advised.command.rpartition(" ")[2]) > 128


@pytest.mark.parametrize(("machines", "which"), [(["a"], "a"), (["a", "b"], "all 2 machines")])
def test_a_full_machine_wants_another_one(machines, which):
    advised = advice(workers=[worker(host=name, machine=name, cpu=99.0) for name in machines])
    assert f"All cores of {which} are busy. " in advised.text
    assert (advised.command, advised.level, advised.limit) == ("gristmill up cpu", "warning", Limit.CORES)


def test_a_private_server_takes_no_other_machine():
    advised = advice(workers=[worker(cpu=99.0)], reader=Reader("a", is_private=True))
    assert (advised.command, advised.limit) == (None, Limit.CORES)
    assert "docs/scaling.md" in advised.text


def test_one_machine_with_free_cores_is_enough():
    advised = advice(workers=[worker(cpu=97.0), worker(host="b", cpu=10.0)])
    assert advised.command.startswith("# on b\n")


def test_containers_of_one_machine_share_its_cores():
    """Input D5: five containers are no five machines."""
    five = [worker(host=f"c{i}", machine="m", container=True, machine_cores=2, cores=1, cpu=99.0) for i in range(5)]
    advised = advice(workers=five)
    assert advised.limit is Limit.CORES
    assert "5" not in advised.text.partition("rate.")[2]


def test_nothing_is_advised_while_the_number_of_slots_changes():
    """Input D4: for 25 s after the advice was followed, it advised to scale down."""
    assert advice(replace(CPU, steady=3.0)).command is None
    assert advice(replace(CPU, slots=8, steady=3.0)).command is None


def test_fewer_slots_than_there_are_are_never_advised():
    assert advice(replace(CPU, slots=50, busy=50, left=100_000)).command is None


def test_autoscale_is_left_to_act():
    advised = advice(reader=Reader(is_autoscaled=True))
    assert (advised.command, advised.level) == (None, "ok")


def pod(host="cpu-7d9f8c6b5-abcde", **fields):
    return worker(host=host, container=True, namespace="mill", cpu=99.0, **fields)


def test_in_kubernetes_the_deployment_gets_replicas():
    advised = advice(workers=[pod(slots=1), pod("cpu-7d9f8c6b5-fghij", slots=1)])
    assert advised.command == "kubectl scale deployment cpu --namespace mill --replicas=8"
    advised = advice(workers=[pod(), pod("other-7d9f8c6b5-fghij")])
    assert (advised.command, advised.limit) == (None, Limit.SLOTS)


def test_memory_that_is_used_up_is_named():
    full = worker(memory=1000, used=950, resident=200, cpu=10.0)
    assert advice(workers=[full]).limit is Limit.MEMORY
    reserved = worker(memory_limit=1000, reserved=900, busy=2)
    assert advice(replace(CPU, used=0.4), workers=[reserved]).limit is Limit.MEMORY


def test_limits_of_batches_are_named():
    held = {"used": 0.2, "over_limit": 12_000, "hold": "--rate 10/s", "held_seconds": 1200.0}
    advised = advice(replace(CPU, **held))
    assert (advised.limit, advised.command, advised.seconds) == (Limit.HOLD, None, 1200.0)
    assert "--rate 10/s" in advised.text


def test_the_last_long_items_are_left_alone():
    advised = advice(replace(CPU, left=2, seconds=300.0, ends=200.0, work=600.0, longest=300.0))
    assert (advised.limit, advised.command, advised.seconds) == (Limit.LONG_ITEMS, None, 200.0)


@pytest.mark.parametrize(
    ("changes", "server", "why"),
    [
        ({}, 85.0, Limit.SERVER),
        ({"submitting": True}, 85.0, Limit.SERVER),
        ({"submitting": True}, 5.0, Limit.PRODUCER),
        ({"arrivals": 60.0}, 5.0, Limit.PRODUCER),
        ({}, 5.0, Limit.NOTHING),
    ],
)
def test_idle_slots_are_not_helped_by_more(changes, server, why):
    advised = advice(replace(CPU, used=0.31, **changes), server=server)
    assert (advised.limit, advised.command) == (why, None)
    assert "More workers won't help: slots are 31 % busy, and " in advised.text


def test_slots_that_wait_for_the_server_count_as_busy():
    assert advice(replace(CPU, speed=0.3), server=85.0).limit is Limit.SERVER


@pytest.mark.parametrize(
    ("container", "command"),
    [
        (False, "gristmill up flower cpu=2 io"),
        (True, "docker compose up -d --no-recreate --scale cpu=1 --scale io=1"),
    ],
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
        assert advised.command == "gristmill up flower cpu=2 gpu=9 io=64"
        assert advised.text.endswith("Restart with:")
        assert advice(CPU, IO, GPU, workers=[*WORKERS, worker("gpu")]).command.startswith("gristmill up flower cpu=")

    def test_in_containers_a_queue_is_a_service(self):
        containers = [replace(one, container=True) for one in [*WORKERS, worker("gpu")]]
        command = "docker compose up -d --no-recreate --scale cpu=1 --scale gpu=4 --scale io=1"
        assert advice(GPU, CPU, IO, workers=containers).command == command


def test_what_is_soon_done_needs_nothing():
    advised = advice(replace(CPU, left=62))
    assert (advised.command, advised.level, advised.limit) == (None, "ok", Limit.NOTHING)
    assert advised.seconds == pytest.approx(1, abs=0.1)


def test_nothing_waits():
    assert advice(IO, CPU).level == "idle"


def test_paused_batches_are_named():
    waits = advice(replace(CPU, left=0, waiting=7))
    assert (waits.command, waits.level) == (None, "info")
    assert "7 items" in waits.text
    advised = advice(replace(CPU, left=0, paused=7, waiting=2))
    assert (advised.text, advised.command) == ("cpu: 7 items in paused batches.", "gristmill resume")


@pytest.mark.parametrize(
    ("busy", "words"), [(2, "2 of 2 slots are busy, and none has finished"), (0, "no slot is busy")]
)
def test_without_a_rate_there_is_no_time(busy, words):
    assert words in advice(replace(CPU, rate=0.0, seconds=0.0, busy=busy)).text


def test_durations():
    assert [duration(s) for s in (0.4, 59.4, 60, 200, 7200, 7500)] == [
        "0 s",
        "59 s",
        "1 min",
        "3 min 20 s",
        "2 h",
        "2 h 5 min",
    ]


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


def test_workers_that_drain_are_taken_back():
    drained = [replace(one, slots=0, draining=True) for one in (WORKERS[1], WORKERS[1])]
    queue = replace(IO, left=10, slots=0, workers=2)
    advised = advice(queue, CPU, workers=[WORKERS[0], *drained])
    assert (advised.command, advised.level) == ("gristmill undrain io@a", "warning")
    # One of them takes items.
    one_left = [WORKERS[0], drained[0], WORKERS[1]]
    assert advice(replace(queue, slots=64), CPU, workers=one_left).command != "gristmill undrain io@a"
    assert advice(queue, CPU, workers=drained, reader=Reader(is_autoscaled=True)).command is None


def test_a_worker_that_sets_its_slots_itself_needs_nobody():
    tuning = [WORKERS[0], replace(WORKERS[1], tuning="the items wait")]
    queue = replace(CPU, name="io", kind="io", slots=64, busy=64, left=12_400, seconds=1.0)
    assert "--scale" in advice(queue, CPU, workers=containers(*WORKERS)).command
    assert advice(queue, CPU, workers=tuning).command is None
    # And gets no number from a command for another queue.
    assert advice(workers=tuning).command == "gristmill up flower cpu=8 io"
