"""How to start a Python that imports what this one would."""

import sys
from typing import Any


def command(module: str, function: str, *arguments: Any) -> list[str]:
    """The command line of an interpreter that calls a function of a module, with the module path of this process."""
    code = f"""import sys
sys.path[:] = {sys.path!r}
from gristmill.loading import loading
with loading():
    from {module} import {function}
{function}({", ".join(map(repr, arguments))})
"""
    return [sys.executable, "-c", code]
