"""Options that several commands share: one name, one meaning, one metavar."""

import json
import sys
from typing import Any

import click

from gristmill.cli import completing
from gristmill.cli.console import Quiet, on_terminal
from gristmill.cli.options import follow_up as follow_up_options
from gristmill.cli.options import input as input_options
from gristmill.cli.options import label as label_options
from gristmill.cli.options import program as program_options
from gristmill.cli.options.group import option_group
from gristmill.cli.options.limit import item_limits
from gristmill.cli.options.values import Duration, Integer, OneOf, Parsed
from gristmill.cli.output.result_lines import FORMS, Form
from gristmill.config.names import checked_queue
from gristmill.config.resources import SLOTS_MOST, checked_memory
from gristmill.producer.batch_options import DEFAULT_PRIORITY, FIRST, KEEP_LOGS, LAST
from gristmill.producer.halt import checked_halt
from gristmill.producer.item_states import item_states

#: The states that `--failed` is short for.
FAILED = frozenset({"failed", "dead"})


def _quiet(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    Quiet.on = Quiet.on or value


quiet = click.option("--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Print no notes and no bar.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON lines instead of text.")
max_wait = click.option(
    "--max-wait", type=Duration(), metavar="DURATION", help="Wait at most this long, such as 90s or 10m (exit 124)."
)
consume = click.option(
    "--consume", is_flag=True, help="Remove results from the server once they are written, all but failures."
)
follow = click.option(
    "--follow", "following", is_flag=True, help="Print results as items complete, until the batch has ended."
)
in_order = click.option("-k", "--in-order", is_flag=True, help="Print results by index, not as items complete.")
item = click.option("--item", type=Integer(0, 2**32 - 1), metavar="N", help="Only the item of index N.")
batch = click.argument("batch", required=False, shell_complete=completing.batches)


#: `--format` and `--json` of what prints results.
results_format = option_group(
    click.option(
        "--format",
        "form",
        type=OneOf(FORMS),
        help="Form of the results; default: text on a terminal, else jsonl, as with --json.",
    ),
    as_json,
)


def form_of(form: Form | None, json: bool, output: str | None = None) -> Form:
    """The form in which results are printed."""
    if json and form not in (None, "jsonl"):
        raise click.UsageError(f"--json is --format jsonl: it does not go with --format {form}")
    return form or ("text" if on_terminal(sys.stdout) and not output and not json else "jsonl")


#: `--state` and `--failed` of what prints results.
selected_states = option_group(
    click.option(
        "--state",
        "states",
        type=Parsed(item_states),
        metavar="STATE,…",
        help="Print items in these states only: succeeded, failed, dead, cancelled.",
    ),
    click.option("--failed", is_flag=True, help="Short for --state failed,dead."),
)


def states_of(states: frozenset[str] | None, failed: bool) -> frozenset[str] | None:
    """The states that `--state` and `--failed` select together; None selects all."""
    if not failed:
        return states
    if states is not None:
        raise click.UsageError("--failed is --state failed,dead: give one of them")
    return FAILED


#: The options with which a command submits a batch.
feeding = option_group(
    click.argument("task", shell_complete=completing.tasks),
    click.argument("items", nargs=-1, metavar="[ITEM]..."),
    input_options.items_input,
    input_options.program,
    program_options.running,
    click.option("--name", metavar="NAME", help="Name of the batch; repeat it to go on after an interruption."),
    click.option(
        "--queue",
        type=Parsed(checked_queue),
        metavar="QUEUE",
        help="Queue whose workers run the batch; default: the task's.",
    ),
    click.option(
        "--priority",
        type=Integer(FIRST, LAST),
        metavar="N",
        default=DEFAULT_PRIORITY,
        show_default=True,
        help=f"Priority of the batch, from {FIRST} (runs first) to {LAST}.",
    ),
    click.option(
        "--halt",
        type=Parsed(checked_halt, keep_text=True),
        metavar="[soon,|now,]fail=N|P%",
        help="Cancel the batch once N items, or P%, have failed; success=N: succeeded; now: end running ones.",
    ),
    click.option(
        "--ttl",
        type=Duration(1),
        metavar="DURATION",
        help="How long to keep the batch after it ends, such as 12h or 7d.",
    ),
    click.option(
        "--slots",
        type=Integer(1, SLOTS_MOST),
        metavar="N",
        help="Slots of its worker that an item takes; default: as the task says, else 1.",
    ),
    click.option(
        "--memory",
        type=Parsed(checked_memory),
        metavar="SIZE",
        help="Memory that an item reserves, and may allocate, such as 4G; default: as the task says.",
    ),
    item_limits,
    label_options.labels,
    follow_up_options.follow_ups,
    click.option(
        "--keep-logs",
        type=OneOf(KEEP_LOGS),
        help="Items whose output the server keeps; default: failed, or GRISTMILL_KEEP_LOGS.",
    ),
)


def arguments_of(settings: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of `--set`: text as `KEY=VALUE`, a JSON value as `KEY:=VALUE`."""
    arguments: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        is_text = not key.endswith(":")
        key = key.removesuffix(":")
        if not equals or not key:
            raise click.BadParameter(f"{setting!r} (expected KEY=VALUE or KEY:=JSON)", param_hint="--set")
        if key in arguments:
            raise click.BadParameter(f"{setting!r} (expected each key once)", param_hint="--set")
        arguments[key] = value if is_text else _json_value(setting, value)
    return arguments


def _json_value(setting: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise click.BadParameter(
            f"{setting!r} (expected KEY:=JSON, such as depth:=null or sizes:=[1,2])", param_hint="--set"
        ) from None
