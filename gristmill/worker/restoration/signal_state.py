"""The signal handlers of a process: which it has, how to put them back, and what its copies have in their place."""

# Python's own module converts each number and each handler to an enumeration, which takes ten times as long.
import _signal  # type: ignore[import-not-found]
import os
import signal
import threading
from collections.abc import Collection
from contextlib import suppress
from typing import Any

#: SIGALRM is the time limit's.
_NAMES = "HUP INT QUIT ABRT USR1 USR2 PIPE TERM CHLD CONT TSTP TTIN TTOU URG VTALRM PROF WINCH SEGV FPE BUS ILL"
_SIGNALS = tuple(getattr(signal, f"SIG{name}") for name in _NAMES.split())
_getsignal, _set, _mask = _signal.getsignal, _signal.signal, _signal.pthread_sigmask
_getitimer, _setitimer = signal.getitimer, signal.setitimer


def reset_signals(defaults: Collection[str], ignore: Collection[str]) -> None:
    """Undo the handlers of the signals with the names `defaults`, such as `SIGTERM`, and `ignore` others."""
    for handler, names in ((_signal.SIG_DFL, defaults), (_signal.SIG_IGN, ignore)):
        for name in names:
            _set(getattr(_signal, name), handler)


class SignalState:
    """The handlers and the mask as they are now; to be used in the main thread."""

    def __init__(self) -> None:
        self._handlers: list[tuple[int, Any]] = [(number, _getsignal(number)) for number in _SIGNALS]
        self._blocked = _mask(signal.SIG_BLOCK, ())

    def restore(self) -> None:
        """Put the handlers and the mask back, and stop the timers that a task has set."""
        for number, handler in self._handlers:
            # A handler that C code has installed is None, and stays.
            if _getsignal(number) is not handler and handler is not None:
                with suppress(ValueError):
                    _set(number, handler)
        if _mask(signal.SIG_BLOCK, ()) != self._blocked:
            _mask(signal.SIG_SETMASK, self._blocked)
        for timer in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            if _getitimer(timer)[0]:
                _setitimer(timer, 0)


#: What a copy does with a signal that its original handles. Of Ctrl-C, which reaches all processes of a terminal, the
#: worker makes what it wants.
_IN_COPIES = {
    signal.SIGHUP: _signal.SIG_DFL,
    signal.SIGINT: _signal.SIG_IGN,
    signal.SIGQUIT: _signal.SIG_DFL,
    signal.SIGTERM: _signal.SIG_DFL,
    signal.SIGUSR1: _signal.SIG_DFL,
}


def keep_handlers_from_copies() -> None:
    """Have the processes that items fork from this one end at a signal, and not do what this one does then.

    They inherit its handlers, so a copy of a worker would drain the worker. And while a copy begins, a handler written
    in Python loses a signal: Python forgets those that came before its `after_in_child`, and drops what a handler
    raises there. `multiprocessing.Pool` then waits for ever for a process to which it has sent SIGTERM too early. So
    these signals wait until the copy has no handler for them.
    """
    own = {number: handler for number in _IN_COPIES if callable(handler := _getsignal(number))}
    before = threading.local()

    def block() -> None:
        before.mask = _mask(signal.SIG_BLOCK, own)

    def unblock() -> None:
        _mask(signal.SIG_SETMASK, before.mask)

    def leave() -> None:
        for number, handler in own.items():
            if _getsignal(number) is handler:
                _set(number, _IN_COPIES[number])
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=leave)
