"""How long the work of a killed worker is away: one kill after another, with the whole fleet at work."""

from benchmarks.chaos.run import Run


def play(run: Run, kills: int, _tasks: int) -> None:
    """Workers are killed with -9 under load; the next kill waits until the last one's work is back, and a worker.

    The tasks are copies of one message, and workers are forked: so a kill takes little more than its work is away.
    Stock kombu loses some of that work, and brings the rest back after its visibility timeout: nobody waits for it.
    """
    run.put(1)
    run.copies = True
    run.load()
    run.fleet.start(run.options.workers)
    _whole(run)
    while run.goes_on(kills):
        run.kill(run.busy())
        if run.transport == "ours":
            run.until(run.recovered, "what the dead worker held")
        _whole(run)
        run.breathe()
    run.settle()


def _whole(run: Run) -> None:
    """Let the load go on until each worker has run something."""
    for worker in run.fleet.workers:

        def runs(name: str = worker.name) -> bool:
            run.load()
            return bool(run.journal.running(name))

        run.until(runs, "a worker that runs something")
