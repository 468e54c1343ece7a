"""Tasks with a setup, for the tests: the setups count their runs, take long, fail, or end their process."""

import asyncio
import os
import signal
import time

from gristmill.tasks.kinds import cpu, io

#: The setups that ran, by name; and what a setup is to do.
runs: list[str] = []
orders: dict[str, str] = {}


def slow() -> None:
    """Take longer than the time limit of an item."""
    runs.append("slow")
    time.sleep(0.4)


def obedient() -> None:
    """Do what the test, or a variable that a child process sees, says."""
    order = orders.get("obedient") or os.environ.get("TEST_SETUP", "")
    runs.append("obedient")
    if order == "fail":
        raise LookupError("no model here")
    if order == "fail oddly":
        raise LookupError("no model \ud800 here")
    if order == "die":
        os._exit(7)
    if order == "sleep":
        time.sleep(60)
    if order == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)


async def on_loop() -> None:
    """Note the loop, after as long as the test says."""
    await asyncio.sleep(60 if orders.get("on_loop") == "sleep" else 0)
    runs.append(f"loop {id(asyncio.get_running_loop())}")


@cpu(setup=slow, time_limit=0.2)
def after_slow(n: int) -> int:
    """Return the number."""
    return n


@cpu(setup=obedient)
def after_obedient(n: int) -> int:
    """Return the number."""
    return n


@io(setup=on_loop)
async def after_loop(n: int) -> int:
    """Return the loop."""
    return id(asyncio.get_running_loop())
