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
from weakref import ref


def _collect(on: bool) -> None:
    (gc.enable if on else gc.disable)()


def _warn(filters: list[Any]) -> None:
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def _handle(handlers: list[logging.Handler]) -> None:
    logging.root.handlers[:] = handlers


#: The attributes of each logger, and of each place that Python keeps for one. They lie together, and loggers far apart:
#: a process that looks at an object copies its page.
_attributes: list[dict[str, Any]] = []
#: The places: when a logger takes one, the attributes are looked up again.
_places: list[ref[logging.PlaceHolder]] = []


def note_loggers() -> None:
    """Find the loggers that there are: best before this process forks others, which share what is found."""
    every = [*logging.root.manager.loggerDict.values()]
    _places[:] = [ref(each, _forget) for each in every if isinstance(each, logging.PlaceHolder)]
    _attributes[:] = [vars(each) for each in every]


def _forget(_: ref[logging.PlaceHolder]) -> None:
    _attributes.clear()


def _silent_loggers() -> set[str]:
    if len(_attributes) != len(logging.root.manager.loggerDict):
        note_loggers()
    return {str(each.get("name")) for each in _attributes if each.get("disabled")}


def _silence(silent: set[str]) -> None:
    # `logging.config` silences the loggers that its configuration does not name.
    note_loggers()
    for each in _attributes:
        if "disabled" in each:
            each["disabled"] = str(each.get("name")) in silent


#: What tells a setting, and what sets it.
Setting = tuple[Callable[[], Any], Callable[[Any], Any]]
_SETTINGS: list[Setting] = [
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
    (_silent_loggers, _silence),
    (os.getpgrp, lambda group: os.setpgid(0, group)),
]
#: Settings that somebody who looks after the host may change between two chunks.
_PLACE: list[Setting] = [
    (lambda: os.getpriority(os.PRIO_PROCESS, 0), lambda priority: os.setpriority(os.PRIO_PROCESS, 0, priority)),
]
if sys.platform == "linux":
    _PLACE.append((lambda: os.sched_getaffinity(0), lambda cores: os.sched_setaffinity(0, cores)))


class WholeProcess:
    """Those settings as they are now."""

    def __init__(self) -> None:
        self._values = _values(_SETTINGS)
        self.note_place()

    def note_place(self) -> None:
        """Note on which cores the process runs now, and with which priority."""
        self._place = _values(_PLACE)

    def restore(self) -> Iterator[str]:
        """Set again what has changed; yields what that is not possible for, such as a priority that was lowered."""
        for value, (tell, put) in [*self._values, *self._place]:
            try:
                if tell() != value:
                    put(value)
            except Exception as error:
                yield f"set for the whole process what cannot be undone: {error}"


def _values(of: list[Setting]) -> list[tuple[Any, Setting]]:
    return [(setting[0](), setting) for setting in of]
