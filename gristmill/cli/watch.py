"""`gristmill watch`."""

import click

from gristmill.batches.info import ENDED, BatchInfo
from gristmill.cli import completing, options
from gristmill.cli import workflow as workflows
from gristmill.cli.command import command as new_command
from gristmill.cli.console import as_they_come, note, print_json
from gristmill.cli.lookup import named_batch
from gristmill.cli.output.following import SetupWatch, WorkerWatch, summary
from gristmill.cli.output.outlook_watch import OutlookWatch
from gristmill.cli.output.progress import Pace, ProgressView
from gristmill.fleet.outlook import Outlook
from gristmill.producer.batch import Batch
from gristmill.producer.batches import batches, open_batch
from gristmill.producer.watching import watch_all
from gristmill.server.connection import reaching
from gristmill.server.waiting import Deadline


@new_command("watch")
@click.argument("names", nargs=-1, metavar="[BATCH]...", shell_complete=completing.batches)
@click.option("--any", "first", is_flag=True, help="End with the first batch that ends, and exit with its code.")
@workflows.option
@options.as_json
@options.max_wait
@options.quiet
def command(names: tuple[str, ...], first: bool, workflow: str | None, as_json: bool, max_wait: float | None) -> int:
    """Follow each BATCH to its end: a bar with rate, time left and failures. Exits with the worst of their codes.

    BATCH defaults to the batch last submitted from this host.

    \b
    Examples:
      gristmill watch
      gristmill watch first --max-wait 10m
      gristmill watch pages images --any
      gristmill watch --workflow pages
    """
    if workflow and names:
        raise click.UsageError("--workflow names all batches: it does not go with BATCH")
    with reaching():
        if workflow:
            targets = [open_batch(info.name) for info in batches(workflow=workflow)]
        else:
            targets = [named_batch(name) for name in dict.fromkeys(names)] or [named_batch(None)]
        look = _print if as_json else _show
        ended = [info for info in look(targets, Deadline(max_wait), first) if info.state in ENDED]
        return max(info.exit_code for info in ended)


def _print(targets: list[Batch], deadline: Deadline, first: bool) -> list[BatchInfo]:
    """Print the counters of each batch as a line of JSON, each second, until it has ended; return the last ones."""
    outlooks, paces = OutlookWatch(inputs=True), {batch.name: Pace() for batch in targets}
    printed: set[str] = set()
    for infos in as_they_come(watch_all(targets, deadline, every=1.0, first=first)):
        ahead = outlooks.look(*infos)
        for info in infos:
            if info.name in printed:
                continue
            outlook = ahead.get(info.name, Outlook())
            seconds = outlook.seconds_left(info, paces[info.name].rate(info.done))
            left = {"seconds_left": None if seconds is None else round(seconds, 1)}
            print_json({**info.as_dict(), **left, "busy": [item.as_dict() for item in outlook.running]})
            if info.state in ENDED:
                printed.add(info.name)
    return infos


def _show(targets: list[Batch], deadline: Deadline, first: bool) -> list[BatchInfo]:
    """Show the progress of the batches until they have ended; return their last counters."""
    outlooks, setups = OutlookWatch(), {batch.name: SetupWatch() for batch in targets}
    workers: dict[str, WorkerWatch] = {}
    try:
        with ProgressView([batch.name for batch in targets]) as view:
            for infos in watch_all(targets, deadline, first=first):
                view.update(infos, outlooks.look(*infos))
                for info in infos:
                    workers.setdefault(info.queue, WorkerWatch()).look(info)
                    setups[info.name].look(info)
    except KeyboardInterrupt:
        note(_going_on([batch.name for batch in targets]))
        raise
    for info in infos:
        if info.state in ENDED:
            note(summary(info))
    return infos


def _going_on(names: list[str]) -> str:
    follow = f"gristmill watch {' '.join(names)}"
    if len(names) == 1:
        return f"batch {names[0]} goes on; follow it with: {follow}"
    return f"batches {', '.join(names)} go on; follow them with: {follow}"
