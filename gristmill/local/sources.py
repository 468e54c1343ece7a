"""`python -m gristmill.local.sources`: import the tasks, and print the files of the user's own modules as JSON.

A process of its own sees the files as they are now, and whether they can be imported.
"""

import json
import sys
from pathlib import Path

from gristmill.errors import GristmillError
from gristmill.tasks import catalog
from gristmill.tasks.fingerprint import is_users_own

#: The names that multiprocessing and Python give to the module that runs as this program.
_THIS = {"__main__", "__mp_main__"}


def own_files() -> list[str]:
    """The files of the modules with the user's tasks, and of the user's modules that these import.

    The standard library, installed distributions and Gristmill are not among them.

    Raises:
        SettingError: a module cannot be imported.
    """
    catalog.load()
    modules = [module for name, module in list(sys.modules.items()) if name not in _THIS]
    files = {Path(file).absolute() for module in modules if (file := getattr(module, "__file__", None))}
    return sorted(str(file) for file in files if is_users_own(file))


def main() -> int:
    """Print the files; when a module cannot be imported, say why on stderr."""
    try:
        print(json.dumps(own_files()))  # noqa: T201
    except GristmillError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
