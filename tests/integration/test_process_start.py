"""How a process starts that is no copy of its worker: by an interpreter of its own, or by a fork server."""

import ctypes
import os
import signal
import sys
from types import SimpleNamespace

import pytest
from billiard import Pipe
from billiard.queues import _SimpleQueue
from celery.app.trace import trace_task

from gristmill.local.descendants import become_subreaper, is_subreaper
from gristmill.tasks.application import app
from gristmill.worker.output.output_file import new_file
from gristmill.worker.pool.billiard_internals import fork_context, fresh_context, start_together
from gristmill.worker.pool.celery_internals import begin_copy
from gristmill.worker.pool.equipment import SlotEquipment
from gristmill.worker.pool.fork_server import ForkServer
from gristmill.worker.pool.fresh_process import Spawn
from gristmill.worker.pool.lots import Tickets
from gristmill.worker.pool.processes import ItemProcess
from tests.conftest import until
from tests.support import started_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture(scope="module", autouse=True)
def _adopting():
    become_subreaper()
    assert is_subreaper()
    yield
    # Other tests expect that nothing adopts what they orphan: nobody here waits for it.
    ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


@pytest.fixture(scope="module", params=["spawn", "forkserver"])
def context(request):
    starter = Spawn() if request.param == "spawn" else ForkServer("cpu@host/ab")
    context = fresh_context(starter)
    context.starter = starter
    yield context
    if starter.pid:
        # It ends as when its worker is gone.
        starter._link.close()
        os.waitpid(starter.pid, 0)


def test_a_process_is_a_child_with_the_descriptors_that_it_was_sent(context):
    secret = os.memfd_create("secret", 0)
    reader, writer = Pipe(duplex=False)
    process = context.Process(target=started_processes.tell, args=(writer,))
    process.start()
    writer.close()
    pid, parent, names, blocked, ends_at_term = reader.recv()
    process.join(30)
    os.close(secret)
    assert (pid, parent) == (process.pid, os.getpid())
    assert not [name for name in names if "secret" in name]
    assert blocked == []
    assert ends_at_term
    assert process.exitcode == 0


@pytest.mark.parametrize(("way", "code"), [("leave", 7), ("die", -signal.SIGKILL)])
def test_the_worker_learns_how_a_process_has_ended(context, way, code):
    process = context.Process(target=getattr(started_processes, way), args=(7,))
    process.start()
    process.join(30)
    assert process.exitcode == code


@pytest.mark.parametrize("is_fork", [False, True])
def test_a_process_that_has_its_parent_trace_it_ends(context, is_fork):
    process = (fork_context() if is_fork else context).Process(target=started_processes.ask_to_be_traced)
    process.start()
    until(lambda: process.exitcode is not None, 30, "the end of the process")
    assert process.exitcode == -signal.SIGKILL


def test_the_first_processes_of_a_pool_start_together_and_the_pool_knows_each_by_its_id():
    workers = [started_processes.Leaver(7) for _ in range(2)]
    processes = [fork_context().Process(target=worker) for worker in workers]
    # As billiard notes what has no id yet.
    pool = SimpleNamespace(_pool=processes, _on_ready_counters={None: object()}, _poolctrl={None: object()})
    for process, worker in zip(processes, workers, strict=True):
        process.waiting = worker
        process.start()
        assert process.pid is None
    start_together(pool)
    pids = [process.pid for process in processes]
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [7, 7]
    assert pool._on_ready_counters == {pid: each.on_ready_counter for pid, each in zip(pids, workers, strict=True)}
    assert pool._poolctrl == {pid: each._shutdown for pid, each in zip(pids, workers, strict=True)}


def test_a_copy_of_a_worker_has_none_of_the_tracers_of_the_worker():
    """A tracer tells the id of the process in which it was made."""
    reader, writer = Pipe(duplex=False)

    def tell():
        begin_copy(app, "cpu@host")
        writer.send([task.__trace__ for task in app.tasks.values()])

    process = fork_context().Process(target=tell)
    before = {task: task.__trace__ for task in app.tasks.values()}
    for task in before:
        task.__trace__ = trace_task
    try:
        process.start()
    finally:
        writer.close()
        for task, tracer in before.items():
            task.__trace__ = tracer
    tracers = reader.recv()
    process.join(30)
    assert tracers
    assert {*tracers} == {None}


def test_a_process_has_the_numbers_of_its_worker_and_the_file_of_its_slot(context):
    reader, writer = Pipe(duplex=False)
    file = new_file()
    slot = ItemProcess(_SimpleQueue(), _SimpleQueue())
    slot.equipment = SlotEquipment("cpu@host/ab", 1 << 30, file)
    slot.tickets = Tickets()
    process = context.Process(target=started_processes.tell_of_slot, args=(slot, writer))
    process.start()
    writer.close()
    number, worker, memory, inode = reader.recv()
    process.join(30)
    assert number == slot.inqW_fd, "the pool finds an idle process by it"
    assert (worker, memory) == ("cpu@host/ab", 1 << 30)
    assert inode == os.fstat(file).st_ino
    os.close(file)


def test_a_count_is_shared_with_a_process(context):
    count = context.Value("i")
    process = context.Process(target=started_processes.wait_for, args=(count, 3))
    process.start()
    with count.get_lock():
        count.value += 3
    process.join(30)
    assert process.exitcode == 3


def test_a_fork_server_that_has_ended_is_started_again(context):
    if not context.starter.pid:
        pytest.skip("there is no server")
    server = context.starter.pid
    os.kill(server, signal.SIGKILL)
    process = context.Process(target=started_processes.leave, args=(7,))
    process.start()
    process.join(30)
    assert process.exitcode == 7
    assert context.starter.pid != server


def test_a_server_that_cannot_fork_is_an_error(monkeypatch):
    class Broken(ForkServer):
        def _running(self):
            raise BrokenPipeError

    monkeypatch.setattr("gristmill.worker.pool.fork_server.PAUSE_SECONDS", 0)
    with pytest.raises(OSError, match="fork server"):
        Broken("cpu@host/ab").start()


def test_a_process_that_cannot_import_the_tasks_says_so_and_ends(monkeypatch, capfd):
    monkeypatch.setenv("GRISTMILL_TASK_MODULES", "no.such.module")
    process = fresh_context(Spawn()).Process(target=started_processes.leave, args=(7,))
    process.start()
    process.join(60)
    assert process.exitcode == os.EX_CONFIG
    (line,) = capfd.readouterr().err.splitlines()
    assert "no.such.module" in line
