"""What is done to workers, servers and connections, one function for each scenario."""

import os
import signal
import time
from contextlib import suppress

from benchmarks.chaos.fleet import Worker
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.run import PATIENCE, Run, Stuck

#: Leases for which one task runs.
LONG_LEASES = 3.0
#: Most bytes of replies that pass before the next cut.
CUT_BYTES = 20_000


def workers(run: Run, kills: int, _tasks: int) -> None:
    """Workers are killed, with all their processes, under load."""
    run.fleet.start(run.options.workers)
    while run.goes_on(kills):
        run.kill(run.busy())
        run.breathe()
    run.settle()


def children(run: Run, kills: int, _tasks: int) -> None:
    """Single processes of the pools are killed; their worker goes on."""
    run.fleet.start(2)
    while run.goes_on(kills):
        worker = run.busy()
        running = [pid for pid in worker.children() if run.journal.running(worker.name, pid)]
        if running:
            _kill_child(run, worker, run.luck.choice(running))
            run.breathe()
    run.settle()


def _kill_child(run: Run, worker: Worker, pid: int) -> None:
    at = time.monotonic()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    run.until(lambda: pid not in worker.children(), "the end of a pool's process")
    tasks = run.journal.running(worker.name, pid)
    run.journal.forget(worker.name, tasks)
    run.hurt(at, tasks, worker.name, pid)


def restart(run: Run) -> None:
    """Kill the server with -9 and start it again, after a while, where it was."""
    at, tasks = time.monotonic(), run.wire.tasks_in_hand()
    assert run.server.pid
    os.kill(run.server.pid, signal.SIGKILL)
    run.without_publisher()
    run.shake(at, tasks)
    while run.server.alive:
        time.sleep(0.01)
    time.sleep(run.options.down)
    run.server.restart()


def server(run: Run, kills: int, _tasks: int) -> None:
    """The server is killed under load, and comes back a while later."""
    run.fleet.start(2)
    while run.goes_on(kills):
        run.busy()
        run.breathe()
        restart(run)
        run.until(run.recovered, "what stood when the server died")
    run.settle()


def cut(run: Run, kills: int, _tasks: int) -> None:
    """Connections of workers are cut in the middle of a reply."""
    assert run.server.port
    with Proxy(run.server.port) as proxy:
        run.workers(url=run.server.url.replace(f":{run.server.port}/", f":{proxy.port}/"))
        run.fleet.start(2)
        while run.goes_on(kills):
            run.busy()
            before = proxy.cuts
            proxy.cut(run.luck.randrange(CUT_BYTES))
            run.until(lambda: proxy.cuts > before, "a reply to cut")  # noqa: B023
            run.shake(time.monotonic(), run.wire.tasks_in_hand())
            run.breathe()
        run.settle()


def backlog(run: Run, kills: int, tasks: int) -> None:
    """Workers are killed while very many messages wait; the backlog is counted, not worked off."""
    run.put(1)
    run.copy(tasks - 1)
    run.fleet.start(run.options.workers)
    while run.goes_on(kills):
        run.kill(run.busy())
        run.breathe()
    # Stock kombu puts it behind the backlog.
    with suppress(Stuck):
        run.until(run.recovered, "what the dead workers held")
    run.fleet.end()
    run.journal.read()


def poisoned(run: Run, _kills: int, tasks: int) -> None:
    """One message kills whatever process runs it, among others that wait and run; dead workers are replaced."""
    run.put(tasks // 3, 0.2)
    run.publish("poison", 1)
    bad = run.submitted - 1
    run.put(tasks - tasks // 3, 0.2)
    run.fleet.start(2)
    changed = time.monotonic()
    while time.monotonic() - changed < PATIENCE:
        if run.journal.read():
            changed = time.monotonic()
        dead = run.wire.dead()
        neighbours = set(run.journal.done) | dead
        # Stock kombu never gives up on it: its run ends with its neighbours.
        if len(neighbours - {bad}) == tasks and (bad in dead or run.transport == "stock"):
            break
        run.fleet.revive()
        time.sleep(0.1)
    for beginning in run.journal.beginnings.get(bad, ()):
        run.hurt(beginning.at, {bad})
    if run.transport == "ours":
        run.settle()


def warm(run: Run, kills: int, _tasks: int) -> None:
    """Workers are asked to end under load, as an operator does: what they run is finished, the rest handed back."""
    run.fleet.start(run.options.workers)
    while run.goes_on(kills):
        worker = run.busy()
        run.hurt(time.monotonic(), run.wire.tasks_in_hand(worker.pid) | run.journal.running(worker.name), worker.name)
        worker.end()
        run.fleet.replace(worker)
        run.breathe()
    run.settle()


def replaced(run: Run, _kills: int, tasks: int) -> None:
    """Every task has a process of its own: `max_tasks_per_child=1`."""
    run.put(tasks)
    run.workers("--max-tasks-per-child", "1")
    run.fleet.start(2)
    run.settle()


def long(run: Run, _kills: int, _tasks: int) -> None:
    """Tasks of three leases, while the server is killed and comes back."""
    seconds = LONG_LEASES * run.options.lease
    run.put(2, seconds)
    run.fleet.start(2)
    run.until(lambda: len(run.journal.beginnings) == 2, "the beginning of the long tasks")
    restart(run)
    run.until(lambda: len(run.journal.done) == 2, "the end of the long tasks", seconds + PATIENCE)
    run.settle()
