"""What a task may set for all code of its process: in the interpreter, in logging, and in how the system runs it."""

import gc
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from locale import LC_ALL, setlocale
from typing import Any

log = logging.getLogger(__name__)


def _collect(on: bool) -> None:
    (gc.enable if on else gc.disable)()


def _warn(filters: list[Any]) -> None:
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def _handle(handlers: list[logging.Handler]) -> None:
    logging.root.handlers[:] = handlers


def _silence(silent: bool) -> None:
    # `logging.config` silences all loggers that it is not told of.
    for logger in [log, *logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            logger.disabled = silent


#: What tells each setting, and what sets it.
_SETTINGS: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (sys.gettrace, sys.settrace),
    (sys.getprofile, sys.setprofile),
    (sys.getswitchinterval, sys.setswitchinterval),
    (gc.isenabled, _collect),
    (gc.get_threshold, lambda thresholds: gc.set_threshold(*thresholds)),
    (socket.getdefaulttimeout, socket.setdefaulttimeout),
    (lambda: setlocale(LC_ALL), lambda name: setlocale(LC_ALL, name)),
    (lambda: [*warnings.filters], _warn),
    (lambda: logging.root.manager.disable, logging.disable),
    (lambda: logging.root.level, logging.root.setLevel),
    (lambda: [*logging.root.handlers], _handle),
    (lambda: log.disabled, _silence),
    (os.getpgrp, lambda group: os.setpgid(0, group)),
    (lambda: os.getpriority(os.PRIO_PROCESS, 0), lambda priority: os.setpriority(os.PRIO_PROCESS, 0, priority)),
]
if sys.platform == "linux":
    _SETTINGS.append((lambda: os.sched_getaffinity(0), lambda cores: os.sched_setaffinity(0, cores)))


class WholeProcess:
    """Those settings as they are now."""

    def __init__(self) -> None:
        self._values = [(tell(), tell, put) for tell, put in _SETTINGS]

    def restore(self) -> Iterator[str]:
        """Set again what has changed; yields what that is not possible for, such as a priority that was lowered."""
        for value, tell, put in self._values:
            if tell() != value:
                try:
                    put(value)
                except OSError as error:
                    yield f"set for the whole process what cannot be undone: {error}"
