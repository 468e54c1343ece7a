"""`program`: runs a command for each item."""

from gristmill.tasks.kinds import cpu
from gristmill.tasks.program import function

program = cpu(function.program)
