"""From a command's options to a submission."""

from typing import Any

import click

from producer import items
from producer.cli import options
from producer.cli.console import warn
from producer.submission import Submission
from tasks import catalog


def submission(feeding: dict[str, Any]) -> Submission:
    """The submission that the options of `options.feeding` ask for.

    Raises:
        InputError: the task, the name, a value for --set or the source is not allowed.
    """
    given, source = feeding["items"], feeding["source"]
    if given and source:
        raise click.UsageError("give items as arguments or with --from, not both")
    if not given and not source:
        raise click.UsageError("no items: give them as arguments, or with --from FILE (- is standard input)")
    task = catalog.find(feeding["task"])
    if source:
        read = items.from_path(source, feeding["form"], feeding["encoding"], nul=feeding["nul"])
    else:
        read = items.arguments(given)
    return Submission(
        task,
        read,
        name=feeding["name"],
        fixed=options.fixed(feeding["settings"]),
        on_bad=(lambda text: warn(f"rejected: {text}")) if feeding["skip_bad"] else None,
    )
