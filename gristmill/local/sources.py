"""`python -m gristmill.local.sources`: import the tasks, and print the files of the user's own modules as JSON.

A process of its own sees the files as they are now, and whether they can be imported.
"""

import json
import sys
import sysconfig
from pathlib import Path

import gristmill
from gristmill.errors import GristmillError
from gristmill.tasks import catalog

#: The names that multiprocessing and Python give to the module that runs as this program.
_THIS = {"__main__", "__mp_main__"}
_LIBRARIES = (
    *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")),
    Path(gristmill.__file__).absolute().parent,
)
#: Folders of installed distributions.
_INSTALLED = {"site-packages", "dist-packages"}


def own_files() -> list[str]:
    """The files of the modules with the user's tasks, and of the user's modules that these import.

    The standard library, installed distributions and Gristmill are not among them.

    Raises:
        SettingError: a module cannot be imported.
    """
    catalog.load()
    modules = [module for name, module in list(sys.modules.items()) if name not in _THIS]
    files = {Path(file).absolute() for module in modules if (file := getattr(module, "__file__", None))}
    return sorted(str(file) for file in files if _is_own(file))


def _is_own(file: Path) -> bool:
    libraries = any(file.is_relative_to(library) for library in _LIBRARIES)
    return not libraries and not _INSTALLED & set(file.parts) and file.exists()


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
