"""The signal handlers of a process: which it has, and how to put them back."""

# Python's own module converts each number and each handler to an enumeration, which takes ten times as long.
import _signal  # type: ignore[import-not-found]
import signal
from contextlib import suppress
from typing import Any

#: SIGALRM is the time limit's.
_NAMES = "HUP INT QUIT ABRT USR1 USR2 PIPE TERM CHLD CONT TSTP TTIN TTOU URG VTALRM PROF WINCH SEGV FPE BUS ILL"
_SIGNALS = tuple(getattr(signal, f"SIG{name}") for name in _NAMES.split())
_getsignal, _set, _mask = _signal.getsignal, _signal.signal, _signal.pthread_sigmask
_getitimer, _setitimer = signal.getitimer, signal.setitimer


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
