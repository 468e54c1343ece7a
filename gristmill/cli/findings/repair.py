"""What `gristmill doctor` says of batches whose parts disagree, and `gristmill doctor --repair`, which mends them."""

from collections.abc import Iterator

import click
from redis import Redis

from gristmill.batches.repair import Repair, sentence, within
from gristmill.cli.findings.finding import Finding
from gristmill.config.settings import settings
from gristmill.errors import InputError, invalid_value

#: What `--repair` without a batch stands for: no batch has this name.
EVERY = "*"
#: Seconds that `doctor` without --repair may spend on batches.
LOOK_SECONDS = 5.0


option = click.option(
    "--repair",
    "target",
    is_flag=False,
    flag_value=EVERY,
    metavar="[BATCH]",
    help="Mend this batch, or every batch, whose parts disagree, and say what was done.",
)


def examine(server: Redis) -> Iterator[Finding]:
    """The live batches and the queues whose parts disagree, or one line that all of them agree."""
    repair = Repair(server, settings())
    active, number, ill = repair.active(), 0, 0
    for name in within(LOOK_SECONDS, active):
        number += 1
        if not (findings := repair.examine(name)):
            continue
        ill += 1
        yield Finding(f"batch {name}", sentence(findings), f"mend it: gristmill doctor --repair {name}")
    for queue, counts in repair.queues(repair.queue_names(), mend=False).items():
        yield Finding(f"queue {queue}", f"{counts} counts differ from its batches", "gristmill doctor --repair")
    if counts := repair.limits(mend=False):
        yield Finding("limits", f"{counts} counts of tasks differ from their batches", "gristmill doctor --repair")
    if not ill:
        yield Finding("batches", f"{number} of {len(active)} live ones looked at, their parts agree")


def mend(server: Redis, batch: str) -> Iterator[Finding]:
    """Mend one batch, or every one, and the queues; a line for each that was mended.

    Raises:
        InputError: there is no batch of this name.
    """
    repair = Repair(server, settings())
    names = repair.names()
    if batch != EVERY and batch not in names:
        raise InputError(invalid_value("--repair", batch, "the name of a batch on the server"))
    repairs = 0
    for name in names if batch == EVERY else [batch]:
        if findings := repair.mend(name):
            repairs += 1
            yield Finding(f"batch {name}", f"mended: {sentence(findings)}")
    for queue, counts in repair.queues(repair.queue_names(), mend=True).items():
        yield Finding(f"queue {queue}", f"mended: {counts} counts differed from its batches")
    if counts := repair.limits(mend=True):
        yield Finding("limits", f"mended: {counts} counts of tasks differed from their batches")
    if not repairs:
        what = f"{len(names)} batches" if batch == EVERY else batch
        yield Finding("batches", f"{what}: nothing to mend")
