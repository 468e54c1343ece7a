"""Labels: given to a batch, and asked for in lists."""

from typing import Any

import click

from gristmill.cli.options.values import Parsed
from gristmill.producer.labels import parse_label


def _label(text: str) -> Any:
    return click.option(
        "--label",
        "labels",
        type=Parsed(parse_label),
        multiple=True,
        metavar="KEY=VALUE",
        callback=lambda _context, _parameter, pairs: dict(pairs),
        help=text,
    )


labels = _label("A word by which lists find the batch, such as team=maps.")
has_labels = _label("List batches with this label only.")
