"""A tether to the process that started this one: when that ends in any way, this one ends."""

import os
import signal
import threading


def tether(ending: signal.Signals) -> None:
    """Send `ending` to this process when its standard input, a pipe that its owner holds, closes."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), ending)

    threading.Thread(target=wait, name="tether", daemon=True).start()
