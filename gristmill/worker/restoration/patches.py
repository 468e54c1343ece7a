"""Names of the standard library that tasks patch, and their originals."""

import builtins
import json
import os
import socket
import sys
import threading
import time
from types import ModuleType

_NAMES: dict[ModuleType, str] = {
    builtins: "open print __import__ len isinstance getattr",
    json: "dumps loads dump load JSONEncoder JSONDecoder",
    os: "getpid fork kill open close read write getcwd chdir stat listdir fstat umask waitpid urandom _exit",
    socket: "socket create_connection getaddrinfo gethostname",
    sys: "stdout stderr stdin excepthook",
    threading: "Thread Lock RLock current_thread get_ident",
    time: "time monotonic perf_counter sleep time_ns strftime gmtime localtime",
}
_PLACES = [(vars(module), name) for module, names in _NAMES.items() for name in names.split()]


class Patches:
    """What those names are now."""

    def __init__(self) -> None:
        self._originals = [(names, name, names[name]) for names, name in _PLACES]

    def restore(self) -> None:
        """Bind each name to its original again."""
        for names, name, original in self._originals:
            if names.get(name) is not original:
                names[name] = original
