"""How to start a Python that imports what this one would."""

import sys


def command(code: str) -> list[str]:
    """The command line of an interpreter that runs `code`, with the module path of this process."""
    return [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
