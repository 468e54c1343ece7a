"""Ends this process when its parent ends, in whatever way."""

import os
import signal
import threading


def end_with_parent(ending: signal.Signals, *, group: bool = False) -> None:
    """Send `ending` to this process, or to its process `group`, when its standard input closes: a pipe that its
    owner holds."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        if group:
            os.killpg(0, ending)
        else:
            os.kill(os.getpid(), ending)

    threading.Thread(target=wait, name="parent-death", daemon=True).start()
