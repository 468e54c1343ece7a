"""`--dry-run`: what a command would submit."""

import json
import shlex

from gristmill.cli.console import as_they_come, write
from gristmill.config.names import PROGRAM
from gristmill.producer.submission import NoItems, Submission
from gristmill.tasks.program.template import Template


def print_dry_run(submission: Submission) -> int:
    """Print the command of each item as a shell would read it, or the item as JSON for a task.

    Raises:
        InputError: an item is bad, or there is none.
    """
    command = submission.items.fixed.get("command") if submission.task.name == PROGRAM else None
    template = Template.parse(command["words"], shell=command["shell"]) if command else None
    index = -1
    for index, text in enumerate(as_they_come(submission.items)):
        if template is None:
            write(text)
            continue
        item = json.loads(text)
        words = template.fill(item["input"] if isinstance(item, dict) else item, index=index, slot=0)
        write(words[2] if template.shell else shlex.join(words))
    if index < 0:
        raise NoItems(f"{submission.items.source.name}: no items")
    return 0
